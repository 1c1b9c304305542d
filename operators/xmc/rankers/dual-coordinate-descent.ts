/**
 * A linear classifier under hinge or squared hinge loss, by dual coordinate descent with shrinking (Hsieh, Chang, Lin, Keerthi and Sundararajan 2008, "A
 * dual coordinate descent method for large-scale linear SVM", algorithm 3): minimise ½|w|² + Σ C·loss over one multiplier α a document at a time, while w is
 * kept at Σ α y x. A pass is descent-kernel.ts; between passes it is decided who may leave, and when it is over.
 */
import { HEADER } from './descent-kernel.ts'
import type { SolverSettings } from './training.ts'
import type { TrainingRows } from './training-rows.ts'

/** The paper lets a row leave whose gradient is above the largest of the last pass; here above this part of it: a sixth fewer visits. All are looked at again before the end. */
const EAGERNESS = 0.2

/** Solves the problem that has been begun in `rows`. */
export const descend = (rows: TrainingRows, count: number, settings: SolverSettings): void => {
  const { loss, C, eps, maxIterations } = settings
  const squared = loss === 'squared-hinge'
  const { kernel, integers, floats } = rows
  const set = (at: number, value: number) => {
    floats[at >> 3] = value
  }
  set(HEADER.negativeDiagonal, squared ? 0.5 / C.negative : 0)
  set(HEADER.positiveDiagonal, squared ? 0.5 / C.positive : 0)
  set(HEADER.negativeUpper, squared ? Infinity : C.negative)
  set(HEADER.positiveUpper, squared ? Infinity : C.positive)
  set(HEADER.above, Infinity)
  set(HEADER.below, -Infinity)
  integers[HEADER.active >> 2] = count
  for (let pass = 0; pass < maxIterations; pass++) {
    kernel.pass()
    const largest = floats[HEADER.largest >> 3]!
    const smallest = floats[HEADER.smallest >> 3]!
    if (largest - smallest > eps) {
      set(HEADER.above, largest > 0 ? EAGERNESS * largest : Infinity)
      set(HEADER.below, smallest < 0 ? EAGERNESS * smallest : -Infinity)
    } else {
      if (integers[HEADER.active >> 2] === count) return
      integers[HEADER.active >> 2] = count
      set(HEADER.above, Infinity)
      set(HEADER.below, -Infinity)
    }
  }
}
