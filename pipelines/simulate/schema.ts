/** The schema of a simulation: strict, every key with its default and its range. docs/simulate.md describes the keys. */
import { z } from 'zod'
import { policySchema } from '../../infra/config/policy.ts'
import { problemsOf } from '../../infra/config/problem.ts'
import { filePath } from '../../infra/config/secret.ts'
import { choice, integer, name, number, text } from '../../infra/config/units.ts'
import type { AttackSpec, EnvironmentSpec, Simulation, SimulationPolicy } from './simulation.ts'

const isBlock = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a policy of `millrace.yaml` has beyond this follows from the environment here. */
const POLICY_KEYS = ['name', 'algorithm', 'explorationFloor']

/** Sets every `variant` that was not given. */
const withVariant = <T>(parsed: T, given: unknown, variant: 'shared' | 'disjoint'): T => {
  if (!isBlock(parsed)) return parsed
  const source = isBlock(given) ? given : {}
  return Object.fromEntries(
    Object.entries(parsed).map(([key, value]) =>
      key === 'variant' && source[key] === undefined
        ? [key, variant]
        : [key, withVariant(value, source[key], variant)],
    ),
  ) as T
}

/** An entry of `policies:` of `millrace.yaml`, without features: those are the environment's. */
const policy = () =>
  z.unknown().transform((entry, context): SimulationPolicy => {
    const algorithm = isBlock(entry) ? entry['algorithm'] : undefined
    const named =
      isBlock(entry) && entry['name'] === undefined && isBlock(algorithm) ? { name: algorithm['kind'] } : {}
    const whole = isBlock(entry) ? { ...named, ...entry, features: { dense: 1 } } : entry
    const parsed = policySchema.safeParse(whole)
    const extra = isBlock(entry) ? Object.keys(entry).filter((key) => !POLICY_KEYS.includes(key)) : []
    for (const key of extra)
      context.addIssue({
        code: 'custom',
        path: [key],
        message: `is not for simulations: ${POLICY_KEYS.join(', ')} are`,
      })
    if (!parsed.success) {
      for (const { path, message } of problemsOf(parsed.error.issues, policySchema, whole))
        context.addIssue({ code: 'custom', path: [...path], message })
    }
    if (!parsed.success || extra.length > 0) return z.NEVER
    const { name, definition } = parsed.data
    return {
      name,
      algorithm: {
        shared: withVariant(definition.algorithm, algorithm, 'shared'),
        disjoint: withVariant(definition.algorithm, algorithm, 'disjoint'),
      },
      explorationFloor: definition.explorationFloor ?? 0.01,
    }
  })

const shape = {
  name: name().exactOptional(),
  dimension: integer(1, 8_192).default(10),
  arms: integer(1, 100_000).default(20),
  contexts: choice(['fresh', 'fixed']).default('fresh'),
}

const linear = {
  ...shape,
  rewards: choice(['product', 'unit', 'centred']).default('product'),
  sigma: number(0).default(0.1),
}

const environment = (folder: string) => {
  const file = filePath({ env: {}, folder })
  return z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('linear'), ...linear }),
    z.strictObject({
      kind: z.literal('drifting'),
      ...linear,
      drift: choice(['abrupt', 'slow']).default('abrupt'),
      every: integer(1, 2 ** 31).default(2_000),
    }),
    z.strictObject({ kind: z.literal('logistic'), ...shape, scale: number().default(1) }),
    z.strictObject({
      kind: z.literal('classification'),
      name: name().exactOptional(),
      file,
      label: text().exactOptional(),
      classes: integer(2, 100_000).default(100),
    }),
    z.strictObject({
      kind: z.literal('logged'),
      name: name().exactOptional(),
      file,
      arm: text(),
      reward: text(),
      propensity: text(),
      context: z.array(text()).default([]),
    }),
  ])
}

const budgeted = {
  name: name().exactOptional(),
  budget: number(0),
  arms: z
    .union([choice(['strongest', 'topHalf']), integer(1, 100_000)], {
      error: 'must be strongest, topHalf, or a number of arms',
    })
    .default('strongest'),
}

const targeted = {
  name: name().exactOptional(),
  budget: number(0),
  target: z
    .union([choice(['worst']), integer(0, 100_000)], { error: 'must be worst, or the index of an arm' })
    .default('worst'),
}

const attack = () =>
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('none'), name: name().exactOptional() }),
    z.strictObject({ kind: z.literal('garcelon'), ...budgeted }),
    z.strictObject({ kind: z.literal('oracle'), ...budgeted, margin: number(0).default(0.01) }),
    z.strictObject({ kind: z.literal('context'), ...budgeted, factor: number().default(2) }),
    z.strictObject({
      kind: z.literal('targetedReward'),
      ...targeted,
      epsilon: number(0, 1).default(0.5),
    }),
    z.strictObject({ kind: z.literal('targetedContext'), ...targeted }),
  ])

/** Entries that have no name are called by their kind; of two with the same name nothing could be told apart. */
const named = <T extends { readonly kind: string; readonly name?: string }>(
  entries: readonly T[],
): (T & { readonly name: string })[] => entries.map((entry) => ({ ...entry, name: entry.name ?? entry.kind }))

const distinct = (entries: readonly { readonly name: string }[]): boolean =>
  new Set(entries.map(({ name }) => name)).size === entries.length

const REPEATED = { error: 'must not repeat a name: give entries names of their own' }

/** @param folder what paths of data are relative to */
export const simulationSchema = (folder: string) =>
  z
    .strictObject({
      name: name().default('simulation'),
      rounds: integer(1, 1e9).default(10_000),
      seeds: z
        .union(
          [
            integer(1, 10_000),
            z
              .array(integer(0, 2 ** 32 - 1))
              .min(1)
              .max(10_000),
          ],
          {
            error: 'must be a number of seeds, or a list of them',
          },
        )
        .transform((seeds) =>
          typeof seeds === 'number' ? Array.from({ length: seeds }, (_, i) => i + 1) : [...new Set(seeds)],
        )
        .default([1, 2, 3, 4, 5]),
      points: integer(1, 10_000).default(100),
      delay: integer(0, 1e6).default(0),
      policies: z.array(policy()).min(1).refine(distinct, REPEATED),
      environments: z.array(environment(folder)).min(1).transform(named).refine(distinct, REPEATED),
      attacks: z
        .array(attack())
        .min(1)
        .transform(named)
        .refine(distinct, REPEATED)
        .default([{ kind: 'none', name: 'none' }]),
    })
    .transform(
      (simulation): Simulation => ({
        ...simulation,
        environments: simulation.environments as EnvironmentSpec[],
        attacks: simulation.attacks as AttackSpec[],
      }),
    )
