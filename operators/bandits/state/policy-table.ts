/**
 * The policies of one process: their definitions, and their states as folds over `outcomes`. Every process that folds the same
 * definitions and outcomes holds the same bytes.
 *
 * Versions whose definitions give the state the same meaning (they differ in exploration or floor only) share one state; the newest live
 * one decides. A version that gives it another meaning starts in shadow: it is known here, and decides nothing.
 *
 * A policy's outcomes lie under its keys: its name, or `name#0` … `name#n−1` where it is split in n parts (split.ts). A follower reads, for each policy
 * of the table and each of its keys, the key's partition from `offsets[part]` on, and gives every record to `learn`. A snapshot is what `save` gives;
 * after `load` the fold goes on from there and ends with the bytes that it would have had without the break.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { Outcome, PolicyDefinition } from '../../../schemas/generated/events.ts'
import { DecisionRandom } from '../../numerics/random.ts'
import { createFeaturizer, type Featurizer } from '../../streams/featurize.ts'
import type { Policy } from '../policy.ts'
import { createPolicy, mergeEveryOf, type PolicyDefinitionBody } from './definition.ts'
import { type Fold, type SavedState, WholeFold } from './fold.ts'
import { partKey, partOf, partsOf } from './split.ts'
import { SPLIT_FROM, SplitFold } from './split-fold.ts'

/** The version of a policy that decides. What is counted here changes as the table learns. */
export interface LivePolicy {
  readonly name: string
  readonly version: number
  /** First 16 hex digits of the definition's hash: what decisions carry. */
  readonly hash: string
  /** Of what gives the state its meaning: a snapshot of another is not for this policy. */
  readonly stateHash: string
  readonly definition: PolicyDefinitionBody
  readonly policy: Policy
  readonly featurizer: Featurizer
  /** The draws of its decisions. */
  readonly random: DecisionRandom
  /** Parts of its outcomes; 1 where it is not split. */
  readonly parts: number
  /** The key of each part's outcomes. */
  readonly keys: readonly string[]
  /** Outcomes from this offset on belong to the state; 0 for a split policy, whose keys hold nothing older. */
  readonly from: number
  /** For each part the offset of its next outcome to be learned. */
  readonly offsets: readonly number[]
  /**
   * How far the state has come, as decisions say it: the offset in the policy's partition up to which (exclusive) it has learned; of a split
   * policy the number of outcomes of each part that are in it, refused ones counted too.
   */
  readonly stateOffset: number
  /** Outcomes in the state, refused ones not counted. */
  readonly learned: number
  /**
   * Of a split policy, since this table was made: outcomes that were found good as they came and refused when their turn to be learned came
   * (a new arm beyond `maxArms`, a sum that would overflow).
   */
  readonly leftOut: number
}

export const SHORT_HASH = 16

/** The newest live version of each policy, by name. */
export const liveDefinitions = (definitions: Iterable<PolicyDefinition>): Map<string, PolicyDefinition> => {
  const live = new Map<string, PolicyDefinition>()
  for (const definition of definitions) {
    const current = live.get(definition.policy)
    if (definition.mode === 'live' && (current === undefined || definition.version > current.version)) {
      live.set(definition.policy, definition)
    }
  }
  return live
}

interface Entry {
  readonly live: LivePolicy
  readonly fold: Fold
  /** The keys' bytes. */
  readonly keys: readonly Uint8Array[]
}

export class PolicyTable {
  private readonly entries = new Map<string, Entry>()

  /** @param definitions every version known, in any order. @throws MillraceError INVALID_CONFIG */
  constructor(definitions: Iterable<PolicyDefinition>) {
    const known = [...definitions]
    for (const [name, definition] of liveDefinitions(known)) {
      const sharing = known.filter(
        (other) => other.policy === name && other.stateHash === definition.stateHash,
      )
      this.entries.set(name, open(definition, Math.min(...sharing.map((other) => other.effectiveFrom))))
    }
  }

  get(name: string): LivePolicy | undefined {
    return this.entries.get(name)?.live
  }

  *[Symbol.iterator](): Generator<LivePolicy, void> {
    for (const { live } of this.entries.values()) yield live
  }

  /**
   * Folds the outcome at `offset` of its part's partition into its policy's state; outcomes before the state began, or folded already, change
   * nothing.
   * @param key the record's key: an outcome under a key that its policy does not use now (it was split otherwise when that was written)
   * is passed over, since its offset is that of another partition. Without a key it is taken to lie where it belongs.
   * @throws MillraceError UNKNOWN_POLICY, WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_PROPENSITY, UNKNOWN_ARM: no state has changed by this outcome.
   */
  learn(outcome: Outcome, offset: number, key?: Uint8Array | null): void {
    const { live, fold, keys } = this.#entry(outcome.policy)
    const part = partOf(outcome.requestId, live.parts)
    if (key != null && !sameBytes(key, keys[part]!)) return
    if (offset < fold.offsets[part]!) return
    fold.learn(part, offset, outcome)
  }

  /**
   * A policy's state and, for each part, the offset up to which (exclusive) it is contained there. Of a split policy these are the ends of the last
   * generation learned, not the offsets it has come to since. The bytes are the caller's.
   * @throws MillraceError UNKNOWN_POLICY
   */
  save(name: string): SavedState {
    return this.#entry(name).fold.save()
  }

  /**
   * Puts a policy back to what `save` gave, of a state with the same `stateHash`; the fold goes on from there.
   * @throws MillraceError UNKNOWN_POLICY; SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH: nothing has then changed
   */
  load(name: string, bytes: Uint8Array, offsets: readonly number[]): void {
    this.#entry(name).fold.load(bytes, offsets)
  }

  #entry(name: string): Entry {
    const entry = this.entries.get(name)
    if (entry === undefined) throw new MillraceError('UNKNOWN_POLICY', `no policy is named "${name}"`)
    return entry
  }
}

const open = (definition: PolicyDefinition, from: number): Entry => {
  const body = JSON.parse(definition.definition) as PolicyDefinitionBody
  const policy = createPolicy(body)
  const parts = partsOf(body)
  const fold = parts === 1 ? new WholeFold(policy, from) : new SplitFold(policy, parts, mergeEveryOf(body))
  const keys = Array.from({ length: parts }, (_, part) => partKey(definition.policy, part, parts))
  const utf8 = new TextEncoder()
  const live: LivePolicy = {
    name: definition.policy,
    version: definition.version,
    hash: definition.hash.slice(0, SHORT_HASH),
    stateHash: definition.stateHash,
    random: new DecisionRandom(definition.salt, definition.policy, definition.version),
    definition: body,
    policy,
    featurizer: createFeaturizer(body.features),
    parts,
    keys,
    from: parts === 1 ? from : SPLIT_FROM,
    get offsets() {
      return fold.offsets
    },
    get stateOffset() {
      return fold.stateOffset
    },
    get learned() {
      return policy.learned
    },
    get leftOut() {
      return fold.leftOut
    },
  }
  return { live, fold, keys: keys.map((key) => utf8.encode(key)) }
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
