/**
 * LinUCB as the paper writes it, to check decisions against: sums A = λI + Σxxᵀ and b = Σrx for each arm, and Gaussian elimination at every
 * question. Its draws are made from the policy's salt with Node's own HMAC. Shares no line with the product.
 */
import { createHmac } from 'node:crypto'

interface Sums {
  readonly a: number[][]
  readonly b: number[]
}

/** x of A·x = b, by elimination with partial pivoting. */
const solve = (a: readonly (readonly number[])[], b: readonly number[]): number[] => {
  const n = b.length
  const m = a.map((row, i) => [...row, b[i]!])
  for (let column = 0; column < n; column++) {
    let pivot = column
    for (let row = column + 1; row < n; row++)
      if (Math.abs(m[row]![column]!) > Math.abs(m[pivot]![column]!)) pivot = row
    ;[m[column], m[pivot]] = [m[pivot]!, m[column]!]
    for (let row = column + 1; row < n; row++) {
      const factor = m[row]![column]! / m[column]![column]!
      for (let k = column; k <= n; k++) m[row]![k]! -= factor * m[column]![k]!
    }
  }
  const x = new Array<number>(n).fill(0)
  for (let row = n - 1; row >= 0; row--) {
    let sum = m[row]![n]!
    for (let k = row + 1; k < n; k++) sum -= m[row]![k]! * x[k]!
    x[row] = sum / m[row]![row]!
  }
  return x
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * b[i]!, 0)

export class NaiveLinUcb {
  readonly #arms = new Map<string, Sums>()
  readonly #dimension: number
  readonly #alpha: number
  readonly #lambda: number

  constructor(dimension: number, alpha: number, lambda: number) {
    this.#dimension = dimension
    this.#alpha = alpha
    this.#lambda = lambda
  }

  #sums(arm: string): Sums {
    let sums = this.#arms.get(arm)
    if (sums === undefined) {
      const d = this.#dimension
      const a = Array.from({ length: d }, (_, i) =>
        Array.from({ length: d }, (__, j) => (i === j ? this.#lambda : 0)),
      )
      sums = { a, b: new Array<number>(d).fill(0) }
      this.#arms.set(arm, sums)
    }
    return sums
  }

  /** Adds a sample, but none that would leave a sum which is not finite. */
  learn(arm: string, x: readonly number[], reward: number): void {
    const { a, b } = this.#sums(arm)
    const fits = x.every(
      (xi, i) => a[i]![i]! + xi * xi < Number.MAX_VALUE / 2 && Number.isFinite(b[i]! + reward * xi),
    )
    if (!fits) return
    for (let i = 0; i < x.length; i++) {
      b[i]! += reward * x[i]!
      for (let j = 0; j < x.length; j++) a[i]![j]! += x[i]! * x[j]!
    }
  }

  /** xᵀθ + α√(xᵀA⁻¹x). */
  score(arm: string, x: readonly number[]): number {
    const { a } = this.#sums(arm)
    return dot(x, this.theta(arm)) + this.#alpha * Math.sqrt(Math.max(0, dot(x, solve(a, x))))
  }

  theta(arm: string): number[] {
    const { a, b } = this.#sums(arm)
    return solve(a, b)
  }
}

/** The first uniform number of a request's draws: xoshiro128** (Blackman and Vigna 2021) seeded by the HMAC's first 16 bytes. */
export const firstDraw = (salt: string, policy: string, version: number, requestId: string): number => {
  const digest = createHmac('sha256', salt).update(`${policy}/${version}/${requestId}`).digest()
  const s = [0, 4, 8, 12].map((at) => digest.readUInt32BE(at))
  if (s.every((word) => word === 0)) s[0]! += 1
  const rotated = (x: number, by: number) => ((x << by) | (x >>> (32 - by))) >>> 0
  const next = (): number => {
    const result = Math.imul(rotated(Math.imul(s[1]!, 5) >>> 0, 7), 9) >>> 0
    const t = (s[1]! << 9) >>> 0
    s[2]! ^= s[0]!
    s[3]! ^= s[1]!
    s[1]! ^= s[2]!
    s[0]! ^= s[3]!
    s[2]! ^= t
    s[3] = rotated(s[3]! >>> 0, 11)
    for (let i = 0; i < 4; i++) s[i]! >>>= 0
    return result
  }
  const high = next() >>> 5
  const low = next() >>> 6
  return (high * 2 ** 26 + low) / 2 ** 53
}

/** The arm at which the probabilities' running sum first exceeds the draw. */
export const drawn = (probabilities: readonly number[], uniform: number): number => {
  let sum = 0
  for (let i = 0; i < probabilities.length - 1; i++) {
    sum += probabilities[i]!
    if (uniform < sum) return i
  }
  return probabilities.length - 1
}
