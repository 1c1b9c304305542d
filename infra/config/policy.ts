/**
 * The schema of one entry of `policies:`: a name and what `operators/bandits/state/definition.ts` calls a definition. The dimension is not
 * configured but follows from the features. What decides most (α, λ, the floor) is written out with its default, so that the
 * definition in the log says it; rarer options are left out unless given, so that new ones do not change old hashes.
 */
import { z } from 'zod'
import type { PolicyDefinitionBody } from '../../operators/bandits/state/definition.ts'
import type { FeatureParts, FeatureSpace } from '../../operators/streams/featurize.ts'
import { type PromotionConfig, promotionSchema } from './promotion.ts'
import { choice, flag, integer, name, number, positive, text } from './units.ts'

const SPACES = ['dense', 'names', 'hash'] as const

const spaceKeys = {
  dense: integer(1, 65_536).exactOptional(),
  names: z
    .array(text())
    .min(1)
    .max(65_536)
    .refine((names) => new Set(names).size === names.length, { error: 'must not repeat a name' })
    .exactOptional(),
  hash: z
    .strictObject({ bits: integer(1, 16), seed: integer(0, 2 ** 32 - 1).exactOptional() })
    .exactOptional(),
}

type SpaceBlock = z.output<z.ZodObject<typeof spaceKeys>>

const spaceOf = ({ dense, names, hash }: SpaceBlock): FeatureSpace | undefined => {
  if (dense !== undefined) return { dense }
  if (names !== undefined) return { names }
  return hash === undefined ? undefined : { hash }
}

const forms = (block: SpaceBlock): number => SPACES.filter((key) => block[key] !== undefined).length

/** One part of the vector. */
const space = () =>
  z
    .strictObject(spaceKeys)
    .refine((block) => forms(block) === 1, { error: 'must have exactly one of dense, names and hash' })
    .transform((block) => spaceOf(block) as FeatureSpace)
    .exactOptional()

/** `{names: […]}` alone is the context's; else `{context, arm, interactions}`. `bias` and `ignoreUnknown` go with both. */
const features = z
  .strictObject({
    ...spaceKeys,
    context: space(),
    arm: space(),
    interactions: flag().exactOptional(),
    bias: flag().exactOptional(),
    ignoreUnknown: flag().exactOptional(),
  })
  .superRefine((block, context) => {
    const parts = [block.context, block.arm].filter((part) => part !== undefined).length
    const message =
      forms(block) > 1 || forms(block) === Math.sign(parts)
        ? 'must have exactly one of dense, names and hash, or context and arm (one of them or both) that do'
        : block.interactions === true && parts < 2
          ? 'interactions need both context and arm'
          : undefined
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })
  .transform((block): FeatureParts => {
    const { dense: _dense, names: _names, hash: _hash, ...parts } = block
    const context = spaceOf(block)
    return context === undefined ? parts : { ...parts, context }
  })

const variant = () => choice(['disjoint', 'shared']).default('disjoint')
const exploration = (usual: number) =>
  z
    .union([number(0, 1e6), z.literal('theory')], { error: 'must be a number of at least 0, or theory' })
    .default(usual)
const theory = () =>
  z
    .strictObject({
      sigma: number(0).exactOptional(),
      delta: number(Number.MIN_VALUE, 1 - Number.EPSILON).exactOptional(),
      maxNorm: number(0).exactOptional(),
    })
    .exactOptional()

/** What the policies over a linear model share. Disjoint ones keep a matrix an arm, shared ones one matrix over features of context and arm. */
const linear = {
  variant: variant(),
  lambda: positive().default(1),
  maxArms: integer(1, 2 ** 24).exactOptional(),
  refreshEvery: integer(1, 2 ** 31).exactOptional(),
  prior: choice(['zero', 'pooled']).exactOptional(),
  forgetting: z
    .union(
      [
        z.literal('never'),
        z.strictObject({ discount: number(Number.MIN_VALUE, 1 - Number.EPSILON) }),
        z.strictObject({ window: integer(1, 1_000_000) }),
      ],
      { error: 'must be never, {discount: a number between 0 and 1} or {window: a number of outcomes}' },
    )
    .exactOptional(),
}

const linUcb = z.strictObject({
  kind: z.literal('linUcb'),
  ...linear,
  alpha: exploration(0.25),
  theory: theory(),
})

const linTs = z.strictObject({
  kind: z.literal('linTs'),
  ...linear,
  alpha: exploration(0.25),
  theory: theory(),
  draws: integer(1, 10_000).exactOptional(),
})

const epsilonGreedy = z.strictObject({
  kind: z.literal('epsilonGreedy'),
  ...linear,
  epsilon: number(0, 1).default(0.1),
})

const squareCb = z.strictObject({
  kind: z.literal('squareCb'),
  ...linear,
  gamma: number(0).default(10),
  gammaExponent: number(0).exactOptional(),
})

const ucbGlm = z.strictObject({
  kind: z.literal('ucbGlm'),
  variant: variant(),
  link: choice(['logistic', 'poisson']).default('logistic'),
  fit: choice(['streaming', 'exact']).default('streaming'),
  alpha: exploration(0.5),
  theory: theory(),
  lambda: positive().default(1),
  ridge: positive().exactOptional(),
  maxArms: integer(1, 2 ** 24).exactOptional(),
  prior: choice(['zero', 'pooled']).exactOptional(),
  maxRows: integer(1, 10_000_000).exactOptional(),
  refreshEvery: integer(1, 2 ** 31).exactOptional(),
})

const uniform = z.strictObject({ kind: z.literal('uniform') })

const overLinear = z.discriminatedUnion('kind', [linUcb, linTs, epsilonGreedy, squareCb])

const restarting = z.strictObject({
  kind: z.literal('restarting'),
  base: overLinear,
  sigma: positive(),
  threshold: positive().exactOptional(),
})

const confidenceWeighted = z.strictObject({
  kind: z.literal('confidenceWeighted'),
  base: overLinear,
  scale: positive(),
})

const tunable = z.discriminatedUnion('kind', [...overLinear.options, ucbGlm, restarting, confidenceWeighted])

const candidates = () => z.record(z.string(), z.array(number()).min(1).max(4_096))

/** What chooses among the candidates of a syndicate. */
const tuning = {
  tuner: choice(['exp3', 'exp4', 'combined', 'thompson']).exactOptional(),
  warmUp: integer(0, 2 ** 31).exactOptional(),
  draws: integer(1, 10_000).exactOptional(),
  horizon: z
    .union([integer(1, 2 ** 52), z.literal('doubling')], { error: 'must be a whole number, or doubling' })
    .exactOptional(),
  firstEpoch: integer(1, 2 ** 52).exactOptional(),
  epochEnd: choice(['keep', 'restart']).exactOptional(),
  rewardRange: z.tuple([number(), number()]).exactOptional(),
  clip: flag().exactOptional(),
}

const syndicated = z.strictObject({
  kind: z.literal('syndicated'),
  base: tunable,
  candidates: candidates(),
  ...tuning,
})

const robust = z.strictObject({
  kind: z.literal('robust'),
  base: tunable,
  levels: z
    .union([z.array(number(0)).min(1).max(4_096), z.literal('paper')], {
      error: 'must be a list of numbers of at least 0, or paper',
    })
    .exactOptional(),
  candidates: candidates().exactOptional(),
  ...tuning,
})

const guarded = z.discriminatedUnion('kind', [...tunable.options, uniform, syndicated, robust])

const range = () => z.tuple([number(), number()]).exactOptional()

const rewardGuard = z.strictObject({
  kind: z.literal('rewardGuard'),
  base: guarded,
  rewards: range(),
  features: range(),
})

/** `algorithm` of a policy. */
export const algorithmSchema = z.discriminatedUnion('kind', [...guarded.options, rewardGuard])

export const policySchema = z
  .strictObject({
    name: name(),
    algorithm: algorithmSchema,
    features,
    explorationFloor: number(0, 1).default(0.01),
    partitions: integer(1, 1_024).exactOptional(),
    mergeEvery: integer(1, 100_000).exactOptional(),
    promote: promotionSchema.exactOptional(),
  })
  .transform(
    ({ name, promote, ...definition }): PolicyConfig => ({
      name,
      definition,
      ...(promote === undefined ? {} : { promote }),
    }),
  )

/** A policy as configured. */
export interface PolicyConfig {
  readonly name: string
  readonly definition: PolicyDefinitionBody
  readonly promote?: PromotionConfig
}
