/**
 * Classification data as a bandit: an example's features are the context, its classes the arms, and the right one pays 1, others 0 (Beygelzimer and Langford 2009).
 * Examples come in a shuffled order, shuffled anew when all were shown.
 *
 * Features are scaled to mean 0 and deviation 1, a constant is added, and all is divided by √d, so that a typical vector has length 1.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { DecisionInput } from '../policy.ts'
import type { Environment } from './environment.ts'

export interface Examples {
  /** examples × features, row-major. */
  readonly features: Float64Array
  /** Class of each example, an index into `classes`. */
  readonly labels: Int32Array
  /** Names of the classes, which become ids of arms. */
  readonly classes: readonly string[]
}

export class ClassificationEnvironment implements Environment {
  readonly dimension: number
  readonly arms: readonly string[]
  readonly rounds = Number.POSITIVE_INFINITY
  readonly knowsMeans = true
  readonly input: DecisionInput
  readonly means: Float64Array
  readonly #vectors: Float64Array
  readonly #labels: Int32Array
  readonly #order: Int32Array
  readonly #uniform: () => number
  #shown: number

  /** @throws MillraceError INVALID_CONFIG where there are no examples, or they do not fit together */
  constructor({ features, labels, classes }: Examples, uniform: () => number) {
    const count = labels.length
    const width = features.length / count
    if (count === 0 || !Number.isSafeInteger(width) || classes.length === 0)
      throw new MillraceError('INVALID_CONFIG', `${features.length} features of ${count} examples do not fit`)
    this.dimension = width + 1
    this.arms = classes
    this.#vectors = scaled(features, count, width)
    this.#labels = labels
    this.#order = Int32Array.from({ length: count }, (_, i) => i)
    this.#shown = count
    this.#uniform = uniform
    this.input = {
      arms: classes,
      vectors: new Float64Array(classes.length * this.dimension),
      oneVector: true,
    }
    this.means = new Float64Array(classes.length)
  }

  next(): void {
    if (this.#shown === this.#order.length) this.#shuffle()
    const example = this.#order[this.#shown++]!
    const d = this.dimension
    const { vectors } = this.input
    for (let i = 0; i < d; i++) vectors[i] = this.#vectors[example * d + i]!
    for (let a = 1; a < this.arms.length; a++) vectors.copyWithin(a * d, 0, d)
    this.means.fill(0)
    this.means[this.#labels[example]!] = 1
  }

  reward(arm: number): number {
    return this.means[arm]!
  }

  target(reward: number): number {
    return reward
  }

  #shuffle(): void {
    const order = this.#order
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(this.#uniform() * (i + 1))
      const other = order[j]!
      order[j] = order[i]!
      order[i] = other
    }
    this.#shown = 0
  }
}

/** See ClassificationEnvironment. @param uniform numbers in [0, 1) @throws MillraceError INVALID_CONFIG */
export const classificationEnvironment = (
  examples: Examples,
  uniform: () => number,
): ClassificationEnvironment => new ClassificationEnvironment(examples, uniform)

/** Every feature to mean 0 and deviation 1 (0 where it never varies), then a constant 1, all over √(width + 1). */
const scaled = (features: Float64Array, count: number, width: number): Float64Array => {
  const d = width + 1
  const length = Math.sqrt(d)
  const vectors = new Float64Array(count * d)
  for (let k = 0; k < width; k++) {
    let sum = 0
    let squares = 0
    for (let n = 0; n < count; n++) sum += features[n * width + k]!
    const mean = sum / count
    for (let n = 0; n < count; n++) squares += (features[n * width + k]! - mean) ** 2
    const deviation = Math.sqrt(squares / count)
    if (deviation === 0) continue
    for (let n = 0; n < count; n++)
      vectors[n * d + k] = (features[n * width + k]! - mean) / (deviation * length)
  }
  for (let n = 0; n < count; n++) vectors[n * d + width] = 1 / length
  return vectors
}
