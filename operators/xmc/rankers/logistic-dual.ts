/**
 * A linear classifier under logistic loss, by dual coordinate descent (Yu, Huang and Lin 2011, "Dual coordinate descent methods for logistic regression and
 * maximum entropy models", algorithm 5): the multiplier α of a document lies inside (0, C), and a step minimises over it by Newton's method. α and C − α
 * are both kept, so that neither loses its digits near 0.
 */
import { HEADER, RECORD } from './descent-kernel.ts'
import type { SolverSettings } from './training.ts'
import type { TrainingRows } from './training-rows.ts'

/** Newton's steps for one multiplier at most. */
const MOST_STEPS = 100
/** How far a step out of range goes instead (ξ in the paper). */
const SHORTENED = 0.1

/** Solves the problem that has been begun in `rows`. */
export const descendLogistic = (rows: TrainingRows, count: number, settings: SolverSettings): void => {
  const { C, eps, maxIterations } = settings
  const { kernel, integers, floats } = rows
  const first = HEADER.end >> 2
  const order = integers.subarray(first, first + count)
  /** C − α of each record, at the record's number. */
  const rests = new Float64Array(rows.count)
  for (let i = 0; i < count; i++) {
    const record = order[i]!
    const side = floats[(record + RECORD.side) >> 3]!
    const upper = side > 0 ? C.positive : C.negative
    const alpha = Math.min(0.001 * upper, 1e-8)
    floats[(record + RECORD.alpha) >> 3] = alpha
    rests[rows.rowOf(record)] = upper - alpha
    floats[HEADER.step >> 3] = side * alpha
    kernel.addRow(record)
  }
  let tolerance = 1e-2
  for (let pass = 0; pass < maxIterations; pass++) {
    shuffle(order, integers)
    let largest = 0
    let steps = 0
    for (let i = 0; i < count; i++) {
      const record = order[i]!
      kernel.multiply(record)
      const row = rows.rowOf(record)
      const side = floats[(record + RECORD.side) >> 3]!
      const upper = side > 0 ? C.positive : C.negative
      const square = floats[(record + RECORD.square) >> 3]!
      const margin = side * floats[HEADER.product >> 3]!
      const alpha = floats[(record + RECORD.alpha) >> 3]!
      const rest = rests[row]!
      // Of α and C − α the one whose minimum lies in the nearer half is moved.
      const direct = 0.5 * square * (rest - alpha) + margin >= 0
      const old = direct ? alpha : rest
      const pull = direct ? margin : -margin
      let z = upper - old < 0.5 * upper ? SHORTENED * old : old
      let gradient = square * (z - old) + pull + Math.log(z / (upper - z))
      const size = Math.abs(gradient)
      if (size > largest) largest = size
      let step = 0
      while (step <= MOST_STEPS && Math.abs(gradient) >= tolerance) {
        const next = z - gradient / (square + upper / (upper - z) / z)
        z = next <= 0 ? z * SHORTENED : next
        gradient = square * (z - old) + pull + Math.log(z / (upper - z))
        step++
      }
      if (step === 0) continue
      steps += step
      floats[(record + RECORD.alpha) >> 3] = direct ? z : upper - z
      rests[row] = direct ? upper - z : z
      floats[HEADER.step >> 3] = (direct ? z - old : old - z) * side
      kernel.addRow(record)
    }
    if (largest < eps) return
    if (steps <= count / 10) tolerance = Math.max(Math.min(1e-8, eps), 0.1 * tolerance)
  }
}

/** Fisher and Yates's, by the words of the kernel's generator (xorshift). */
const shuffle = (order: Int32Array, integers: Int32Array): void => {
  let seed = integers[HEADER.seed >> 2]!
  for (let i = order.length - 1; i > 0; i--) {
    seed ^= seed << 13
    seed ^= seed >>> 17
    seed ^= seed << 5
    const other = Math.floor(((seed >>> 0) / 4_294_967_296) * (i + 1))
    const record = order[other]!
    order[other] = order[i]!
    order[i] = record
  }
  integers[HEADER.seed >> 2] = seed
}
