/**
 * The policies of one process: their definitions, and their states as folds over `outcomes`. Every process that folds the same
 * definitions and outcomes holds the same bytes.
 *
 * **Versions and states.** Versions of a policy with equal `stateHash` (they differ in exploration or floor only) share one state. The newest version
 * whose mode is live decides; a shadow above it is a challenger, the newest live version below it the former one. Promotion and demotion change modes and
 * nothing else, so they change no state.
 *
 * **The fold of a state**, whoever decides meanwhile: begin at the least `effectiveFrom` of its versions (a split policy at 0), and take the outcomes
 * under its keys in the order of their offsets. One made by a version
 *
 * - of the same state is learned whole;
 * - of another state with the same features is learned without its hyper-parameters: they were drawn from a state that is not this one;
 * - with other features is passed over: its vector says nothing here. So such a state begins when one of its own versions decides;
 * - that the log does not define is taken as the second kind.
 *
 * It follows from the log alone, so all followers agree, and a state need not be held to exist: it can be folded again whenever it is wanted. With `shadows`
 * the table holds, beside the live states, those of the former versions and of the challengers, so that both commands take effect at once.
 *
 * A policy's outcomes lie under its keys: its name, or `name#0` … `name#n−1` where it is split in n parts (split.ts). A follower reads, for each state
 * held and each of its keys, the key's partition from `offsets[part]` on, and gives every record to `learn`. A snapshot is what `save` gives;
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
import { challengersOf, featuresOf, formerOf, liveDefinitions, SHORT_HASH } from './versions.ts'

export { liveDefinitions, SHORT_HASH } from './versions.ts'

/** A version of a policy with its state: the one that decides, or one that speaks for a state held beside it. What is counted here changes as the table learns. */
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
   * (a sum that would overflow).
   */
  readonly leftOut: number
}

export interface PolicyTableOptions {
  /** Whether the states of former versions and challengers are held beside the live ones (default false). */
  readonly shadows?: boolean
}

interface Entry {
  readonly live: LivePolicy
  readonly fold: Fold
  /** The keys' bytes. */
  readonly keys: readonly Uint8Array[]
  readonly features: string
}

/** What a version that made an outcome means for who learns it. */
interface Maker {
  readonly stateHash: string
  readonly features: string
}

/** A policy: its states, that of the live version first, and its versions by the hash that outcomes carry. */
interface Held {
  readonly entries: readonly Entry[]
  readonly makers: ReadonlyMap<string, Maker>
}

export class PolicyTable {
  readonly #shadows: boolean
  #policies: ReadonlyMap<string, Held> = new Map()

  /** @param definitions every version known, in any order. @throws MillraceError INVALID_CONFIG */
  constructor(definitions: Iterable<PolicyDefinition>, { shadows = false }: PolicyTableOptions = {}) {
    this.#shadows = shadows
    this.update(definitions)
  }

  /**
   * Takes up other definitions; states that are held and still wanted stay as they are.
   * @returns those whose fold must go on from earlier offsets than before: new ones, which stand at their beginning, and split ones under another
   * version. Whoever follows goes back to their offsets.
   * @throws MillraceError INVALID_CONFIG: nothing has then changed
   */
  update(definitions: Iterable<PolicyDefinition>): LivePolicy[] {
    const known = [...definitions]
    const behind: LivePolicy[] = []
    const policies = new Map<string, Held>()
    for (const [name, live] of liveDefinitions(known)) {
      const own = known.filter(({ policy }) => policy === name)
      const entries = this.#wanted(own, live).map((definition) => {
        const sharing = own.filter(({ stateHash }) => stateHash === definition.stateHash)
        const from = Math.min(...sharing.map(({ effectiveFrom }) => effectiveFrom))
        const before = this.#policies.get(name)?.entries.find(isOf(definition.stateHash))
        const entry = before === undefined ? open(definition, from) : taken(before, definition, from)
        const back = (offset: number, part: number): boolean =>
          offset < (before?.fold.offsets[part] ?? Infinity)
        if (entry.fold.offsets.some(back)) behind.push(entry.live)
        return entry
      })
      policies.set(name, { entries, makers: new Map(own.map(makerOf)) })
    }
    this.#policies = policies
    return behind
  }

  /** One version for each state that is wanted, the live one first. */
  #wanted(own: readonly PolicyDefinition[], live: PolicyDefinition): PolicyDefinition[] {
    if (!this.#shadows) return [live]
    const former = formerOf(own, live)
    const inOrder = [live, ...(former === undefined ? [] : [former]), ...challengersOf(own, live).reverse()]
    const states = new Map<string, PolicyDefinition>()
    for (const each of inOrder) if (!states.has(each.stateHash)) states.set(each.stateHash, each)
    return [...states.values()]
  }

  /** The version that decides. */
  get(name: string): LivePolicy | undefined {
    return this.#policies.get(name)?.entries[0]?.live
  }

  /** The versions that decide. */
  *[Symbol.iterator](): Generator<LivePolicy, void> {
    for (const { entries } of this.#policies.values()) yield entries[0]!.live
  }

  /** Every state held, each by one of its versions; of a policy the live one first. */
  *held(): Generator<LivePolicy, void> {
    for (const { entries } of this.#policies.values()) for (const { live } of entries) yield live
  }

  /** Lets a state go that does not decide. */
  release({ name, stateHash }: LivePolicy): void {
    const held = this.#of(name)
    const entries = held.entries.filter(({ live }, i) => i === 0 || live.stateHash !== stateHash)
    this.#policies = new Map(this.#policies).set(name, { ...held, entries })
  }

  /** Whether the version that made an outcome is known here, or its policy is not: then nothing depends on it. */
  knows({ policy, policyHash }: Pick<Outcome, 'policy' | 'policyHash'>): boolean {
    return this.#policies.get(policy)?.makers.has(policyHash) ?? true
  }

  /**
   * Folds the outcome at `offset` of its part's partition into its policy's states; outcomes before a state began, or folded already, change
   * nothing.
   * @param key the record's key: an outcome under a key that its policy does not use now (it was split otherwise when that was written)
   * is passed over, since its offset is that of another partition. Without a key it is taken to lie where it belongs.
   * @throws MillraceError UNKNOWN_POLICY, WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_PROPENSITY: the state that refuses it is unchanged by this
   * outcome; of several the first is told.
   */
  learn(outcome: Outcome, offset: number, key?: Uint8Array | null): void {
    const { entries, makers } = this.#of(outcome.policy)
    const maker = makers.get(outcome.policyHash)
    let refused: { readonly error: unknown } | null = null
    for (const entry of entries) {
      try {
        take(entry, maker, outcome, offset, key)
      } catch (error) {
        refused ??= { error }
      }
    }
    if (refused !== null) throw refused.error
  }

  /**
   * A state and, for each part, the offset up to which (exclusive) it is contained there. Of a split policy these are the ends of the last
   * generation learned, not the offsets it has come to since. The bytes are the caller's.
   * @param stateHash of which of its states; that of the live version where absent
   * @throws MillraceError UNKNOWN_POLICY
   */
  save(name: string, stateHash?: string): SavedState {
    return this.#entry(name, stateHash).fold.save()
  }

  /**
   * Puts a state back to what `save` gave, of a state with the same `stateHash`; the fold goes on from there.
   * @throws MillraceError UNKNOWN_POLICY; SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH: nothing has then changed
   */
  load(name: string, bytes: Uint8Array, offsets: readonly number[], stateHash?: string): void {
    this.#entry(name, stateHash).fold.load(bytes, offsets)
  }

  #of(name: string): Held {
    const held = this.#policies.get(name)
    if (held === undefined) throw new MillraceError('UNKNOWN_POLICY', `no policy is named "${name}"`)
    return held
  }

  #entry(name: string, stateHash: string | undefined): Entry {
    const { entries } = this.#of(name)
    const entry = stateHash === undefined ? entries[0] : entries.find(isOf(stateHash))
    if (entry !== undefined) return entry
    throw new MillraceError('UNKNOWN_POLICY', `no state ${stateHash} of policy "${name}" is held`)
  }
}

const isOf =
  (stateHash: string) =>
  ({ live }: Entry): boolean =>
    live.stateHash === stateHash

const makerOf = ({ hash, stateHash, definition }: PolicyDefinition): [string, Maker] => [
  hash.slice(0, SHORT_HASH),
  { stateHash, features: featuresOf(JSON.parse(definition) as PolicyDefinitionBody) },
]

/** Folds an outcome into one state, as the header says. */
const take = (
  { live, fold, keys, features }: Entry,
  maker: Maker | undefined,
  outcome: Outcome,
  offset: number,
  key: Uint8Array | null | undefined,
): void => {
  const part = partOf(outcome.requestId, live.parts)
  if (key != null && !sameBytes(key, keys[part]!)) return
  if (offset < fold.offsets[part]!) return
  if (maker !== undefined && maker.features !== features) {
    fold.pass(part, offset)
    return
  }
  const whole = maker?.stateHash === live.stateHash || outcome.hyperParameters.length === 0
  fold.learn(part, offset, whole ? outcome : { ...outcome, hyperParameters: [] })
}

/** A state that is held, under a version of it: the same entry where it was under that one already. */
const taken = (before: Entry, definition: PolicyDefinition, from: number): Entry => {
  const { live } = before
  if (live.version === definition.version && live.hash === definition.hash.slice(0, SHORT_HASH)) return before
  const entry = open(definition, from)
  const { bytes, offsets } = before.fold.save()
  entry.fold.load(bytes, offsets)
  return entry
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
  return { live, fold, keys: keys.map((key) => utf8.encode(key)), features: featuresOf(body) }
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
