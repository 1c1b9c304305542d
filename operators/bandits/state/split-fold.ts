/**
 * The fold of a split policy. Outcomes come in n parts, each in its own order, and the parts interleave as they like. So that every follower holds
 * the same bytes, they are learned in *generations*: generation g is outcomes (g−1)·m … g·m−1 of every part, and once all parts have brought
 * theirs it is learned at once, part by part in the order of their index. Between two generations the state stands still.
 *
 * Outcomes wait as they came, not as sums: adding a sum makes V⁻¹ of each of its arms anew (d³/2 multiplications), while learning an outcome
 * takes 2d², so that sums pay only beyond d/4 outcomes an arm and generation; and a waiting outcome is d numbers, a sum d²/2 an arm.
 *
 * Promises: the same n and m give the same bytes, however the parts interleave; a state that is a sum agrees with the unsplit fold of the same
 * outcomes to rounding. An outcome that is refused counts as one of the m, so that all followers agree where a generation ends.
 * Cost: that of the unsplit fold and two copies. Memory: (d + 2)·8 bytes, an arm's name and the hyper-parameters an outcome that waits: up to n·m of them, and all by
 * which a part is ahead of the slowest. A part that falls silent holds up all.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { Outcome } from '../../../schemas/generated/events.ts'
import { crc32 } from '../../numerics/crc32.ts'
import type { Policy } from '../policy.ts'
import { type Fold, requireDimension, requireOffsets, type SavedState } from './fold.ts'

/** Where a split policy's outcomes begin: its keys are new, so nothing of theirs lies before. */
export const SPLIT_FROM = 0

export class SplitFold implements Fold {
  readonly offsets: number[]
  leftOut = 0
  readonly #policy: Policy
  readonly #parts: number
  readonly #mergeEvery: number
  /** Generations in the state, and for each part the offset behind its last outcome there. */
  #generation = 0
  #boundaries: number[]
  /** Each part's outcomes that wait, a block a generation; the last block may be open. */
  #waiting: Waiting[][]
  /** Blocks to be used again. */
  readonly #spare: Waiting[] = []
  readonly #vector: Float64Array

  /** @param mergeEvery m: outcomes of each part in a generation */
  constructor(policy: Policy, parts: number, mergeEvery: number) {
    this.#policy = policy
    this.#parts = parts
    this.#mergeEvery = mergeEvery
    this.#vector = new Float64Array(policy.dimension)
    this.offsets = new Array<number>(parts).fill(SPLIT_FROM)
    this.#boundaries = [...this.offsets]
    this.#waiting = this.offsets.map(() => [])
  }

  get stateOffset(): number {
    return this.#generation * this.#mergeEvery
  }

  learn(part: number, offset: number, outcome: Outcome): void {
    const block = this.#see(part, offset)
    try {
      requireSound(outcome, this.#vector.length)
      block.add(outcome)
    } finally {
      if (block.seen === this.#mergeEvery) this.#learnGenerations()
    }
  }

  /** It counts as one of its generation, as one that is refused does. */
  pass(part: number, offset: number): void {
    const block = this.#see(part, offset)
    if (block.seen === this.#mergeEvery) this.#learnGenerations()
  }

  /** Counts an outcome in the open block of its part. */
  #see(part: number, offset: number): Waiting {
    this.offsets[part] = offset + 1
    const block = this.#openBlock(this.#waiting[part]!)
    block.seen++
    block.next = offset + 1
    return block
  }

  save(): SavedState {
    const state = this.#policy.snapshot()
    const bytes = new Uint8Array(HEADER + state.length)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, MAGIC, true)
    view.setUint32(4, this.#parts, true)
    view.setFloat64(8, this.#mergeEvery, true)
    view.setFloat64(16, this.#generation, true)
    view.setUint32(24, crc32(bytes.subarray(0, 24)), true)
    bytes.set(state, HEADER)
    return { bytes, offsets: [...this.#boundaries] }
  }

  load(bytes: Uint8Array, offsets: readonly number[]): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length < HEADER || view.getUint32(0, true) !== MAGIC)
      throw new MillraceError('SNAPSHOT_CORRUPT', 'snapshot: not that of a split policy')
    if (view.getUint32(24, true) !== crc32(bytes.subarray(0, 24)))
      throw new MillraceError('SNAPSHOT_CORRUPT', 'snapshot: the CRC-32 of its header does not hold')
    const parts = view.getUint32(4, true)
    const mergeEvery = view.getFloat64(8, true)
    if (parts !== this.#parts || mergeEvery !== this.#mergeEvery) {
      throw new MillraceError(
        'SNAPSHOT_MISMATCH',
        `snapshot: of ${parts} parts merged every ${mergeEvery}, the policy's are ${this.#parts} and ${this.#mergeEvery}`,
      )
    }
    requireOffsets(offsets, parts, SPLIT_FROM)
    this.#policy.restore(bytes.subarray(HEADER))
    this.#generation = view.getFloat64(16, true)
    this.#boundaries = [...offsets]
    this.#waiting = offsets.map(() => [])
    for (let part = 0; part < parts; part++) this.offsets[part] = offsets[part]!
  }

  /** The part's last block, or a new one where that is complete. */
  #openBlock(blocks: Waiting[]): Waiting {
    const last = blocks.at(-1)
    if (last !== undefined && last.seen < this.#mergeEvery) return last
    const block = this.#spare.pop() ?? new Waiting(this.#vector.length)
    blocks.push(block)
    return block
  }

  /** Learns every generation that all parts have completed. */
  #learnGenerations(): void {
    while (this.#waiting.every(([first]) => first?.seen === this.#mergeEvery)) {
      for (let part = 0; part < this.#parts; part++) {
        const block = this.#waiting[part]!.shift()!
        this.#learnBlock(block)
        this.#boundaries[part] = block.next
        block.clear()
        if (this.#spare.length < this.#parts) this.#spare.push(block)
      }
      this.#generation++
    }
  }

  #learnBlock({ arms, vectors, rewards, propensities, hyperParameters }: Waiting): void {
    const vector = this.#vector
    for (let i = 0; i < arms.length; i++) {
      const start = i * vector.length
      for (let k = 0; k < vector.length; k++) vector[k] = vectors[start + k]!
      try {
        const outcome = { arm: arms[i]!, vector, reward: rewards[i]!, propensity: propensities[i]! }
        const drawn = hyperParameters[i]!
        this.#policy.learn(drawn.length === 0 ? outcome : { ...outcome, hyperParameters: drawn })
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        this.leftOut++
      }
    }
  }
}

/** Before the state's own bytes: "MRPG" · u32 parts · f64 m · f64 generations · u32 CRC-32 of these. */
const MAGIC = 0x4750524d
const HEADER = 28

/** A part's outcomes of one generation, in arrays that grow to the largest. */
class Waiting {
  /** Outcomes counted, those refused among them; the offset behind the last. */
  seen = 0
  next = 0
  readonly arms: string[] = []
  readonly hyperParameters: Outcome['hyperParameters'][] = []
  vectors: Float64Array
  rewards: Float64Array
  propensities: Float64Array
  readonly #dimension: number

  constructor(dimension: number) {
    this.#dimension = dimension
    this.vectors = new Float64Array(8 * dimension)
    this.rewards = new Float64Array(8)
    this.propensities = new Float64Array(8)
  }

  add({ arm, vector, reward, propensity, hyperParameters }: Outcome): void {
    const at = this.arms.length
    if (at === this.rewards.length) {
      this.vectors = doubled(this.vectors)
      this.rewards = doubled(this.rewards)
      this.propensities = doubled(this.propensities)
    }
    const start = at * this.#dimension
    for (let k = 0; k < this.#dimension; k++) this.vectors[start + k] = vector[k]!
    this.rewards[at] = reward
    this.propensities[at] = propensity
    this.arms.push(arm)
    this.hyperParameters.push(hyperParameters)
  }

  clear(): void {
    this.seen = 0
    this.arms.length = 0
    this.hyperParameters.length = 0
  }
}

const doubled = (array: Float64Array): Float64Array => {
  const larger = new Float64Array(2 * array.length)
  larger.set(array)
  return larger
}

/** What can be told of an outcome before its turn comes. @throws MillraceError WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_PROPENSITY */
const requireSound = (outcome: Outcome, dimension: number): void => {
  requireDimension(outcome, dimension)
  const { requestId, vector, reward, propensity } = outcome
  if (!(propensity > 0 && propensity <= 1)) {
    throw new MillraceError('INVALID_PROPENSITY', `propensity: ${propensity} is not in (0, 1]`)
  }
  // 0 times a number that is not finite is NaN.
  let sum = reward
  for (let k = 0; k < dimension; k++) sum += 0 * vector[k]!
  if (!Number.isFinite(sum))
    throw new MillraceError(
      'NON_FINITE_NUMBER',
      `the outcome of "${requestId}" holds a number that is not finite`,
    )
}
