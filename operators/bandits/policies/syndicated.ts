/**
 * Syndicated: hyper-parameters tuned while the policy runs (Ding, Kang, Liu, Lee, Hsieh and Sharpnack 2022, "Syndicated Bandits"). Each has a list of candidates
 * and an EXP3 of its own, and all of them are fed the one reward observed. With a list of explorations alone this is the two-layer bandit TL of the paper.
 *
 * The paper draws candidates, then takes the arm that they ask for. Here the arm is drawn from the mixture that this amounts to, over all combinations and
 * with the uniform floor on top, and then the candidates from their distribution given the arm: the same joint distribution, and the probability
 * of the arm is known exactly. Ranking: by that probability; equal ones as the heaviest combination ranks them.
 *
 * Each combination of structural candidates (λ, …) has a policy of its own, which learns every outcome, so nothing is refitted when a candidate changes.
 * Cost: a policy's `look`, or its `glance` where it has one, and `learn` for each of those, a pass over the arms for each combination, and a ranking. Two small objects a
 * hyper-parameter are allocated a decision, for they are kept; nothing an arm.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { Xoshiro128 } from '../../numerics/random.ts'
import {
  type Candidates,
  CORRUPTION,
  combinations,
  requireCandidates,
} from '../exploration/candidate-grid.ts'
import { drawArm } from '../exploration/exploration-floor.ts'
import { ProbabilityOrder } from '../exploration/probability-order.ts'
import type {
  ArmEstimates,
  DecisionInput,
  DecisionOutput,
  HyperParameter,
  LearningInput,
  Policy,
  TunablePolicy,
} from '../policy.ts'
import { decodeComposite, encodeComposite } from '../state/composite-snapshot.ts'
import { requireLearnable, SyndicateLayer } from './syndicate-layer.ts'
import { SyndicateMixture } from './syndicate-mixture.ts'
import { requireSyndicateOptions, type SyndicateOptions, tunerOf } from './syndicated-options.ts'

export type { SyndicateOptions } from './syndicated-options.ts'

/** Makes a policy without experience under the given structural hyper-parameters: the options of its own constructor, by name. */
export type SyndicateBase<P extends TunablePolicy = TunablePolicy> = (
  structural: Readonly<Record<string, number>>,
) => P

/** Own numbers in a snapshot: outcomes that only policies learned from, and outcomes that a policy after the first refused. */
const COUNTS = 2
/** What a decision of the warm-up says of its hyper-parameters. */
const NONE: readonly HyperParameter[] = []

export class Syndicate<P extends TunablePolicy = TunablePolicy> implements Policy {
  readonly kind: string
  readonly dimension: number
  readonly propensityKind: 'exact' | 'estimated'
  readonly layers: readonly SyndicateLayer[]
  /** See Policy: what the heaviest combination's policy makes of the arms. */
  readonly explain?: (input: DecisionInput) => ArmEstimates
  readonly #make: () => P[]
  readonly #layout: string
  readonly #warmUp: number
  readonly #floor: number
  readonly #mixture: SyndicateMixture
  readonly #probabilities: Float64Array[] = []
  readonly #order = new ProbabilityOrder()
  readonly #random = new Xoshiro128()
  #bases: P[]
  #unjudged = 0
  #missed = 0

  /** @throws MillraceError INVALID_CONFIG */
  constructor(base: SyndicateBase<P>, candidates: Candidates, options: SyndicateOptions = {}) {
    const { tuner, warmUp, explorationFloor } = requireSyndicateOptions(options)
    requireCandidates(candidates)
    const names = Object.keys(candidates)
    const lists = Object.values(candidates)
    const ways = combinations(lists)
    const together = tuner === 'combined'
    this.layers = (together ? [names] : names.map((name) => [name])).map((own) => {
      const values = together ? ways : candidates[own[0]!]!.map((value) => [value])
      return new SyndicateLayer(own, values, tunerOf(values.length, options))
    })

    const pick = (way: readonly number[], kept: (name: string) => boolean): Record<string, number> =>
      Object.fromEntries(names.map((name, n) => [name, way[n]!] as const).filter(([name]) => kept(name)))
    const { explorationName } = base(pick(ways[0]!, (name) => name !== CORRUPTION))
    const structural = (name: string): boolean => name !== CORRUPTION && name !== explorationName
    const given: Record<string, number>[] = []
    const keys: string[] = []
    const mixed = ways.map((way, w) => {
      const parameters = pick(way, structural)
      const key = JSON.stringify(parameters)
      if (!keys.includes(key)) given[keys.push(key) - 1] = parameters
      return {
        base: keys.indexOf(key),
        exploration: way[names.indexOf(explorationName)],
        corruption: way[names.indexOf(CORRUPTION)] ?? 0,
        indices: together ? [w] : way.map((value, n) => lists[n]!.indexOf(value)),
      }
    })
    this.#mixture = new SyndicateMixture(mixed)
    this.#make = () => given.map((parameters) => base(parameters))
    this.#bases = this.#make()
    const first = this.#bases[0]!
    this.kind = `${CORRUPTION in candidates ? 'robust' : 'syndicated'}-${first.kind}`
    this.dimension = first.dimension
    this.propensityKind = tuner === 'thompson' ? 'estimated' : first.propensityKind
    this.#layout = `${this.kind} ${layoutOf(tuner, candidates, options)}`
    this.#warmUp = warmUp
    this.#floor = explorationFloor
    if (first.explain !== undefined) this.explain = (input) => this.#heaviest().explain!(input)
  }

  get learned(): number {
    return this.#bases[0]!.learned
  }

  get evicted(): number {
    return this.#bases[0]!.evicted
  }

  /** The policies, one a combination of structural candidates; for reading. */
  get bases(): readonly P[] {
    return this.#bases
  }

  /** Outcomes that policies learned from and tuners did not: of the warm-up, or with draws that are missing or of other candidates. */
  get unjudged(): number {
    return this.#unjudged
  }

  /** Outcomes that the first policy learned and another refused (an overflow under its λ alone). */
  get missed(): number {
    return this.#missed
  }

  decide(input: DecisionInput, uniform: () => number, output: DecisionOutput): void {
    const count = input.arms.length
    const mixture = this.#mixture
    const { probabilities, ranking } = output
    mixture.look(this.#bases, input, uniform)
    this.#weigh(uniform)
    const warm = this.learned >= this.#warmUp
    mixture.mix(count, warm ? this.#floor : 1, probabilities)
    const heaviest = mixture.heaviest
    this.#bases[mixture.combinations[heaviest]!.base]!.rank(mixture.exploration(heaviest), ranking)
    this.#order.sort(probabilities, count, ranking)
    const arm = drawArm(probabilities, count, uniform())
    output.arm = arm
    output.hyperParameters = warm ? this.#record(arm, count, uniform) : NONE
  }

  /** Folds an outcome of its own decisions into the state; see Policy. From draws that are missing or of other candidates only the policies learn. */
  learn(outcome: LearningInput): void {
    const { reward, propensity, hyperParameters = NONE } = outcome
    requirePropensity(propensity)
    let judged = true
    for (const layer of this.layers) if (!layer.read(hyperParameters, propensity, reward)) judged = false
    this.#teach((base) => base.learn(outcome))
    if (judged) for (const layer of this.layers) layer.learn(reward)
    else this.#unjudged++
  }

  /**
   * Folds an outcome of another policy's decision into the state: each candidate is credited with reward · P[it takes that arm]/propensity.
   * @throws MillraceError UNKNOWN_ARM where the decision had no such arm; else as `learn` and `decide`
   */
  observe(input: DecisionInput, outcome: LearningInput): void {
    const { reward, propensity } = outcome
    requirePropensity(propensity)
    const arm = input.arms.indexOf(outcome.arm)
    if (arm < 0) throw new MillraceError('UNKNOWN_ARM', `the decision has no arm '${outcome.arm}'`)
    // Draws of a look follow from the state, so that a log gives one state.
    this.#random.seed(this.learned, 1, 2, 3)
    this.#mixture.look(this.#bases, input, this.#random.uniform)
    this.#weigh(this.#random.uniform)
    const warm = this.learned >= this.#warmUp
    this.layers.forEach(({ tuner, shares }, l) => {
      this.#mixture.shares(l, arm, this.#probabilities, shares)
      for (let i = 0; i < shares.length; i++) shares[i] = shares[i]! / propensity
      requireLearnable(tuner, reward, 1 / propensity)
    })
    this.#teach((base) => (base.observe === undefined ? base.learn(outcome) : base.observe(input, outcome)))
    if (warm) for (const { tuner, shares } of this.layers) tuner.learn(reward, shares)
    else this.#unjudged++
  }

  snapshot(): Uint8Array {
    const counts = Float64Array.of(this.#unjudged, this.#missed)
    const tuners = this.layers.map(({ tuner }) => tuner.state)
    const parts = this.#bases.map((base) => base.snapshot())
    return encodeComposite(this.#header, this.learned, [counts, ...tuners], parts)
  }

  restore(bytes: Uint8Array): void {
    const lengths = [COUNTS, ...this.layers.map(({ tuner }) => tuner.state.length)]
    const bases = this.#make()
    const { numbers, parts } = decodeComposite(bytes, this.#header, lengths, bases.length)
    bases.forEach((base, b) => {
      base.restore(parts[b]!)
    })
    this.#bases = bases
    this.#unjudged = numbers[0]![0]!
    this.#missed = numbers[0]![1]!
    this.layers.forEach(({ tuner }, l) => {
      tuner.state.set(numbers[l + 1]!)
      tuner.changed()
    })
  }

  get #header() {
    return { kind: this.#layout, dimension: this.dimension, lambda: 0 }
  }

  /** The policy of the heaviest combination; where probabilities are drawn, by draws that follow from the state. */
  #heaviest(): P {
    const mixture = this.#mixture
    this.#random.seed(this.learned, 1, 2, 3)
    this.#weigh(this.#random.uniform)
    return this.#bases[mixture.combinations[mixture.heaviest]!.base]!
  }

  #weigh(uniform: () => number): void {
    const { layers } = this
    for (let l = 0; l < layers.length; l++) this.#probabilities[l] = layers[l]!.tuner.weigh(uniform)
    this.#mixture.weigh(this.#probabilities)
  }

  /** What the decision for this arm says of the hyper-parameters: the candidates drawn, given the arm, or what each made of it. */
  #record(arm: number, count: number, uniform: () => number): readonly HyperParameter[] {
    const { layers } = this
    const mixture = this.#mixture
    const draws: HyperParameter[] = []
    if (layers[0]!.tuner.drawn) {
      const { indices } = mixture.combinations[mixture.drawn(arm, count, this.#floor, uniform())]!
      for (let l = 0; l < layers.length; l++) layers[l]!.record(indices[l]!, this.#probabilities[l]!, draws)
      return draws
    }
    for (let l = 0; l < layers.length; l++) {
      mixture.shares(l, arm, this.#probabilities, layers[l]!.shares)
      layers[l]!.recordShares(draws)
    }
    return draws
  }

  /** The first policy decides whether the outcome is taken; another that refuses it goes without. */
  #teach(learn: (base: P) => void): void {
    const bases = this.#bases
    learn(bases[0]!)
    for (let b = 1; b < bases.length; b++) {
      try {
        learn(bases[b]!)
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        this.#missed++
      }
    }
  }
}

/** @throws MillraceError INVALID_PROPENSITY */
const requirePropensity = (propensity: number): void => {
  if (!(propensity > 0 && propensity <= 1))
    throw new MillraceError('INVALID_PROPENSITY', `propensity: ${propensity} is not in (0, 1]`)
}

/** What gives the tuners' states their meaning, as text. */
const layoutOf = (
  tuner: string,
  candidates: Candidates,
  {
    rewardRange = [0, 1],
    clip = true,
    horizon = 'doubling',
    epochEnd = 'keep',
    firstEpoch = 1_000,
  }: SyndicateOptions,
): string =>
  JSON.stringify([
    tuner,
    candidates,
    rewardRange,
    clip,
    ...(horizon === 'doubling' ? [epochEnd, firstEpoch] : []),
  ])

/** A syndicate without experience. @throws MillraceError INVALID_CONFIG */
export const syndicated = <P extends TunablePolicy>(
  base: SyndicateBase<P>,
  candidates: Candidates,
  options: SyndicateOptions = {},
): Syndicate<P> => new Syndicate(base, candidates, options)
