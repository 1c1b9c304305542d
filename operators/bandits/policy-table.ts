/**
 * The policies of one process: their definitions, and their states as folds over `outcomes`. Every process that folds the same
 * definitions and outcomes holds the same bytes.
 *
 * Versions whose definitions give the state the same meaning (they differ in exploration or floor only) share one state; the newest live
 * one decides. A version that gives it another meaning starts in shadow: it is known here, and decides nothing.
 */
import { MillraceError } from '../../schemas/errors.ts'
import type { Outcome, PolicyDefinition } from '../../schemas/generated/events.ts'
import { DecisionRandom } from '../numerics/random.ts'
import { createFeaturizer, type Featurizer } from '../streams/featurize.ts'
import { createPolicy, type PolicyDefinitionBody } from './definition.ts'
import type { Policy } from './policy.ts'

/** The version of a policy that decides. */
export interface LivePolicy {
  readonly name: string
  readonly version: number
  /** First 16 hex digits of the definition's hash: what decisions carry. */
  readonly hash: string
  readonly definition: PolicyDefinitionBody
  readonly policy: Policy
  readonly featurizer: Featurizer
  /** The draws of its decisions. */
  readonly random: DecisionRandom
  /** Outcomes from this offset on belong to the state. */
  readonly from: number
  /** Offset in the policy's `outcomes` partition up to which (exclusive) the state has learned. */
  stateOffset: number
  /** The vector of an outcome, copied here for `learn`. */
  readonly vector: Float64Array
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

export class PolicyTable {
  private readonly live = new Map<string, LivePolicy>()

  /** @param definitions every version known, in any order. */
  constructor(definitions: Iterable<PolicyDefinition>) {
    const known = [...definitions]
    for (const [name, definition] of liveDefinitions(known)) {
      const sharing = known.filter(
        (other) => other.policy === name && other.stateHash === definition.stateHash,
      )
      this.live.set(name, open(definition, Math.min(...sharing.map((other) => other.effectiveFrom))))
    }
  }

  get(name: string): LivePolicy | undefined {
    return this.live.get(name)
  }

  [Symbol.iterator](): IterableIterator<LivePolicy> {
    return this.live.values()
  }

  /**
   * Folds the outcome at `offset` of its policy's partition into that policy's state; outcomes before the state began, or folded already, change
   * nothing.
   * @throws MillraceError UNKNOWN_POLICY, WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_PROPENSITY: no state has changed.
   */
  learn(outcome: Outcome, offset: number): void {
    const entry = this.live.get(outcome.policy)
    if (entry === undefined)
      throw new MillraceError('UNKNOWN_POLICY', `no policy is named "${outcome.policy}"`)
    if (offset < entry.stateOffset) return
    // Whatever the outcome holds, the fold has seen it: a refused one is passed over by every follower alike.
    entry.stateOffset = offset + 1
    if (outcome.vector.length !== entry.vector.length) {
      throw new MillraceError(
        'WRONG_DIMENSION',
        `the outcome of "${outcome.requestId}" has ${outcome.vector.length} features, policy "${entry.name}" ${entry.vector.length}`,
      )
    }
    for (let i = 0; i < entry.vector.length; i++) entry.vector[i] = outcome.vector[i]!
    const { arm, reward, propensity } = outcome
    entry.policy.learn({ arm, vector: entry.vector, reward, propensity })
  }
}

const open = (definition: PolicyDefinition, from: number): LivePolicy => {
  const body = JSON.parse(definition.definition) as PolicyDefinitionBody
  const policy = createPolicy(body)
  return {
    name: definition.policy,
    version: definition.version,
    hash: definition.hash.slice(0, SHORT_HASH),
    random: new DecisionRandom(definition.salt, definition.policy, definition.version),
    definition: body,
    policy,
    featurizer: createFeaturizer(body.features),
    from,
    stateOffset: from,
    vector: new Float64Array(policy.dimension),
  }
}
