/**
 * The algorithms that a policy's definition can name: what each may say, how it becomes a policy, and which part of it gives the state its meaning. A new
 * algorithm is one entry here and its form in the configuration (infra/config/policy.ts).
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { type Candidates, CORRUPTION } from '../exploration/candidate-grid.ts'
import type { LinearOptions } from '../models/linear-options.ts'
import { type ConfidenceWeightedOptions, confidenceWeighted } from '../policies/confidence-weighted.ts'
import { type EpsilonGreedyOptions, epsilonGreedy } from '../policies/epsilon-greedy.ts'
import { type LinTsOptions, linTs } from '../policies/lin-ts.ts'
import { type LinUcbOptions, linUcb } from '../policies/lin-ucb.ts'
import { type RestartingOptions, restarting } from '../policies/restarting.ts'
import { type RewardGuardOptions, rewardGuard } from '../policies/reward-guard.ts'
import { type RobustOptions, robust } from '../policies/robust.ts'
import { type SquareCbOptions, squareCb } from '../policies/square-cb.ts'
import { type SyndicateOptions, syndicated } from '../policies/syndicated.ts'
import { type UcbGlmOptions, ucbGlm } from '../policies/ucb-glm.ts'
import { uniform } from '../policies/uniform.ts'
import type { PredictingPolicy } from '../policies/wrapped-policy.ts'
import type { Policy, TunablePolicy } from '../policy.ts'

/** What a definition says of an algorithm: its options but for those that follow from the rest of the definition. */
type Said<Kind extends string, Options> = { readonly kind: Kind } & Omit<
  Options,
  'dimension' | 'explorationFloor'
>

export type LinUcbDefinition = Said<'linUcb', LinUcbOptions>
export type LinTsDefinition = Said<'linTs', LinTsOptions>
export type UcbGlmDefinition = Said<'ucbGlm', UcbGlmOptions>
export type EpsilonGreedyDefinition = Said<'epsilonGreedy', EpsilonGreedyOptions>
export type SquareCbDefinition = Said<'squareCb', SquareCbOptions>
export type UniformDefinition = { readonly kind: 'uniform' }

/** What learns by one linear model. */
export type LinearDefinition =
  | LinUcbDefinition
  | LinTsDefinition
  | EpsilonGreedyDefinition
  | SquareCbDefinition

export type RestartingDefinition = Said<'restarting', Omit<RestartingOptions, 'lambda'>> & {
  readonly base: LinearDefinition
}
export type ConfidenceWeightedDefinition = Said<'confidenceWeighted', ConfidenceWeightedOptions> & {
  readonly base: LinearDefinition
}

/** What a syndicate can be made of. */
export type TunableDefinition =
  | LinearDefinition
  | UcbGlmDefinition
  | RestartingDefinition
  | ConfidenceWeightedDefinition

export type SyndicatedDefinition = Said<'syndicated', SyndicateOptions> & {
  readonly base: TunableDefinition
  /** By hyper-parameter: the base's exploration, `corruption`, or one of STRUCTURAL. */
  readonly candidates: Candidates
}

export type RobustDefinition = Said<'robust', Omit<RobustOptions, 'lambda'>> & {
  readonly base: TunableDefinition
}

/** What a reward guard can stand before. */
export type GuardedDefinition =
  | TunableDefinition
  | UniformDefinition
  | SyndicatedDefinition
  | RobustDefinition

export type RewardGuardDefinition = { readonly kind: 'rewardGuard' } & RewardGuardOptions & {
    readonly base: GuardedDefinition
  }

export type AlgorithmDefinition = GuardedDefinition | RewardGuardDefinition

/** What follows from the rest of a definition. */
export interface Surroundings {
  readonly dimension: number
  readonly explorationFloor?: number
}

interface Algorithm<Definition, Made extends Policy = Policy> {
  create(definition: Definition, surroundings: Surroundings): Made
  /** Options that change what is learned. What is at its default is left out where it came later than the first release. */
  state(definition: Definition): object
}

type Algorithms = {
  readonly [Kind in AlgorithmDefinition['kind']]: Algorithm<
    Extract<AlgorithmDefinition, { kind: Kind }>,
    Kind extends TunableDefinition['kind'] ? TunablePolicy : Policy
  >
}

/** An object without the members that have their default, or are not given. */
const unlessDefault = (values: Record<string, unknown>, defaults: Record<string, unknown>): object =>
  Object.fromEntries(
    Object.entries(values).filter(([name, value]) => value !== undefined && value !== defaults[name]),
  )

const linearState = (definition: Omit<LinearOptions, 'dimension'>): object => {
  const { variant, lambda = 1, maxArms, refreshEvery, prior, forgetting } = definition
  return {
    variant,
    lambda,
    ...unlessDefault(
      { maxArms, refreshEvery, prior, forgetting },
      { maxArms: 10_000, refreshEvery: 1_000, prior: 'zero', forgetting: 'never' },
    ),
  }
}

const tunersState = ({
  tuner = 'exp3',
  warmUp = 0,
  horizon = 'doubling',
  firstEpoch = 1_000,
  epochEnd = 'keep',
  rewardRange = [0, 1],
  clip = true,
}: SyndicateOptions): object => ({ tuner, warmUp, horizon, firstEpoch, epochEnd, rewardRange, clip })

/** Structural hyper-parameters that a syndicate may have candidates of, and what they say to the base. */
const STRUCTURAL: Readonly<Record<string, (value: number) => object>> = {
  lambda: (lambda) => ({ lambda }),
  ridge: (ridge) => ({ ridge }),
  discount: (discount) => ({ forgetting: { discount } }),
  window: (window) => ({ forgetting: { window } }),
}

/** A definition with options changed, those of what it wraps where it wraps something. */
const changed = (definition: TunableDefinition, options: object): TunableDefinition =>
  'base' in definition
    ? { ...definition, base: changed(definition.base, options) as LinearDefinition }
    : { ...definition, ...options }

/** Makes the base of a syndicate under structural candidates. @throws MillraceError INVALID_CONFIG for a hyper-parameter that it does not have */
const baseOf =
  (base: TunableDefinition, { dimension }: Surroundings) =>
  (structural: Readonly<Record<string, number>>): TunablePolicy => {
    const said = Object.entries(structural).map(([name, value]) => {
      const of = STRUCTURAL[name]
      if (of !== undefined) return of(value)
      const { explorationName } = createTunable(base, { dimension })
      // Read by deciding alone: the base is the same for all of its values.
      if (name === explorationName) return {}
      const known = [explorationName, CORRUPTION, ...Object.keys(STRUCTURAL)].join(', ')
      throw new MillraceError(
        'INVALID_CONFIG',
        `candidates.${name}: a syndicate of ${base.kind} has candidates of ${known}`,
      )
    })
    return createTunable(changed(base, Object.assign({}, ...said)), { dimension })
  }

const ALGORITHMS: Algorithms = {
  linUcb: {
    create: ({ kind: _, ...options }, surroundings) => linUcb({ ...options, ...surroundings }),
    state: linearState,
  },
  linTs: {
    create: ({ kind: _, ...options }, surroundings) => linTs({ ...options, ...surroundings }),
    state: linearState,
  },
  epsilonGreedy: {
    create: ({ kind: _, ...options }, surroundings) => epsilonGreedy({ ...options, ...surroundings }),
    state: linearState,
  },
  squareCb: {
    create: ({ kind: _, ...options }, surroundings) => squareCb({ ...options, ...surroundings }),
    state: linearState,
  },
  ucbGlm: {
    create: ({ kind: _, ...options }, surroundings) => ucbGlm({ ...options, ...surroundings }),
    state: ({ kind: _, alpha: _alpha, theory: _theory, ...options }) => options,
  },
  restarting: {
    create: ({ kind: _, base, ...options }, surroundings) =>
      restarting(() => createLinear(base, surroundings), {
        lambda: base.lambda ?? 1,
        ...options,
        ...floorOf(surroundings),
      }),
    state: ({ base, sigma, threshold = 3 }) => ({ base: algorithmState(base), sigma, threshold }),
  },
  confidenceWeighted: {
    create: ({ kind: _, base, ...options }, surroundings) =>
      confidenceWeighted(() => createLinear(base, surroundings), { ...options, ...floorOf(surroundings) }),
    state: ({ base, scale }) => ({ base: algorithmState(base), scale }),
  },
  rewardGuard: {
    create: ({ kind: _, base, ...options }, surroundings) =>
      rewardGuard(createAlgorithm(base, surroundings), options),
    state: ({ base, rewards = null, features = null }) => ({
      base: algorithmState(base),
      rewards,
      features,
    }),
  },
  uniform: {
    create: (_, { dimension }) => uniform({ dimension }),
    state: () => ({}),
  },
  syndicated: {
    create: ({ kind: _, base, candidates, ...options }, surroundings) =>
      syndicated(baseOf(base, surroundings), candidates, { ...options, ...floorOf(surroundings) }),
    state: ({ base, candidates, ...options }) => ({
      base: algorithmState(base),
      candidates,
      ...tunersState(options),
    }),
  },
  robust: {
    create: ({ kind: _, base, ...options }, surroundings) =>
      robust(baseOf(base, surroundings), {
        ...options,
        ...('lambda' in base && base.lambda !== undefined ? { lambda: base.lambda } : {}),
        ...floorOf(surroundings),
      }),
    state: ({ base, levels = null, candidates = {}, ...options }) => ({
      base: algorithmState(base),
      levels,
      candidates,
      ...tunersState(options),
    }),
  },
}

const floorOf = ({ explorationFloor }: Surroundings): { explorationFloor?: number } =>
  explorationFloor === undefined ? {} : { explorationFloor }

/** Known algorithms, for messages. */
export const ALGORITHM_KINDS = Object.keys(ALGORITHMS) as readonly AlgorithmDefinition['kind'][]

/** @throws MillraceError INVALID_CONFIG */
const algorithmOf = <Kind extends AlgorithmDefinition['kind']>(kind: Kind): Algorithms[Kind] => {
  if (Object.hasOwn(ALGORITHMS, kind)) return ALGORITHMS[kind]
  throw new MillraceError(
    'INVALID_CONFIG',
    `algorithm.kind: '${String(kind)}' is unknown; known are ${ALGORITHM_KINDS.map((each) => `'${each}'`).join(', ')}`,
  )
}

/** A policy of this algorithm without experience. @throws MillraceError INVALID_CONFIG naming the option */
export const createAlgorithm = (definition: AlgorithmDefinition, surroundings: Surroundings): Policy =>
  // An entry takes its own kind's definition, which the lookup cannot tell the compiler.
  (algorithmOf(definition.kind) as Algorithm<AlgorithmDefinition>).create(definition, surroundings)

/** Policies over one linear model say what they predict. */
const createLinear = (definition: LinearDefinition, surroundings: Surroundings): PredictingPolicy =>
  createTunable(definition, surroundings) as PredictingPolicy

const createTunable = (definition: TunableDefinition, surroundings: Surroundings): TunablePolicy =>
  (algorithmOf(definition.kind) as Algorithm<AlgorithmDefinition, TunablePolicy>).create(
    definition,
    surroundings,
  )

/** The part of an algorithm's definition that gives the state its meaning. @throws MillraceError INVALID_CONFIG */
export const algorithmState = (definition: AlgorithmDefinition): object => ({
  kind: definition.kind,
  ...(algorithmOf(definition.kind) as Algorithm<AlgorithmDefinition>).state(definition),
})
