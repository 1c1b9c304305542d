/**
 * Policies are defined by events: topic `policies`, one record a version, canonical JSON and its hash. A process whose configuration says
 * something else than the log refuses to start until `millrace policies apply` has written it there.
 */
import { randomBytes } from 'node:crypto'
import { partitionOf } from '../../infra/kafka/partitioner.ts'
import { canonicalJson, definitionHash, stateHash } from '../../operators/bandits/state/definition.ts'
import { liveDefinitions } from '../../operators/bandits/state/policy-table.ts'
import { partsOf } from '../../operators/bandits/state/split.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { PolicyDefinition } from '../../schemas/generated/events.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'

/** What the log of definitions is read with. */
export type PolicyLog = Pick<Runtime, 'broker' | 'codec' | 'config'>

/** Every version in the log, in the order it was written. */
export const readDefinitions = async ({ broker, codec, config }: PolicyLog): Promise<PolicyDefinition[]> => {
  const topic = topicOf(config, 'policy-definition')
  const offsets = await broker.admin.offsets(topic)
  const definitions = new Map<string, PolicyDefinition>()
  const from = new Map(offsets.map(({ partition, earliest }) => [partition, earliest]))
  const to = new Map(offsets.map(({ partition, latest }) => [partition, latest]))
  await broker.read({ topic, from, to }, async ({ records }) => {
    await codec.ensureSchemas(records.map(({ value }) => value))
    for (const { value } of records) {
      if (value === null) continue
      const definition = codec.decode('policy-definition', value)
      definitions.set(KEYS['policy-definition'](definition), definition)
    }
  })
  return [...definitions.values()].sort((a, b) => a.policy.localeCompare(b.policy) || a.version - b.version)
}

export interface PolicyDifference {
  readonly policy: string
  readonly what: 'missing in the log' | 'defined differently in the log'
  readonly definition: string
  readonly hash: string
  readonly stateHash: string
}

/** What the configuration says that the newest versions in the log do not. */
export const differences = (
  { config }: Pick<Runtime, 'config'>,
  definitions: readonly PolicyDefinition[],
): PolicyDifference[] => {
  const found: PolicyDifference[] = []
  for (const { name, definition: body } of config.policies) {
    const hash = definitionHash(body)
    const newest = definitions.filter(({ policy }) => policy === name).at(-1)
    if (newest?.hash === hash) continue
    const what = newest === undefined ? 'missing in the log' : 'defined differently in the log'
    found.push({ policy: name, what, definition: canonicalJson(body), hash, stateHash: stateHash(body) })
  }
  return found
}

/**
 * The definitions of the log, once the configuration agrees with them and `outcomes` has the partitions that they were applied to. Policies that are
 * configured no longer are left out where it has not.
 * @throws MillraceError POLICY_DIFFERS, PARTITION_MISMATCH naming each policy and what to do.
 */
export const agreedDefinitions = async (runtime: PolicyLog): Promise<PolicyDefinition[]> => {
  const definitions = await readDefinitions(runtime)
  const different = differences(runtime, definitions)
  if (different.length > 0) {
    const list = different.map(({ policy, what }) => `"${policy}" is ${what}`).join('; ')
    throw new MillraceError(
      'POLICY_DIFFERS',
      `${list}: run \`millrace policies apply\` to write the configuration's definitions there`,
    )
  }
  const outcomes = await runtime.broker.admin.offsets(topicOf(runtime.config, 'outcome'))
  return unmovedDefinitions(runtime, definitions, outcomes.length)
}

/**
 * The definitions without those of policies that are configured no longer and whose outcomes lie elsewhere now.
 * @throws MillraceError PARTITION_MISMATCH where they are configured
 */
export const unmovedDefinitions = (
  runtime: Pick<Runtime, 'config'>,
  definitions: readonly PolicyDefinition[],
  partitions: number,
): PolicyDefinition[] => {
  const moved = requireUnmoved(runtime, definitions, partitions)
  return definitions.filter(({ policy }) => !moved.has(policy))
}

/**
 * Policies whose outcomes would now lie in another partition than those that their states were folded from.
 * @returns those of them that are not configured
 * @throws MillraceError PARTITION_MISMATCH where one is configured
 */
const requireUnmoved = (
  { config }: Pick<Runtime, 'config'>,
  definitions: readonly PolicyDefinition[],
  partitions: number,
): ReadonlySet<string> => {
  const live = liveDefinitions(definitions)
  const moved = new Map<string, number>()
  for (const { policy, stateHash, outcomesPartitions } of definitions) {
    const counts = live.get(policy)?.stateHash === stateHash && outcomesPartitions > 0
    if (counts && outcomesPartitions !== partitions) moved.set(policy, outcomesPartitions)
  }
  const configured = config.policies.filter(({ name }) => moved.has(name))
  if (configured.length === 0) return new Set(moved.keys())
  const list = configured.map(({ name }) => `"${name}" was applied when it had ${moved.get(name)}`)
  throw new MillraceError(
    'PARTITION_MISMATCH',
    `${topicOf(config, 'outcome')} has ${partitions} partitions: ${list.join(', ')}. Its outcomes would come to lie in another partition, behind which no state goes on: create the topic again with as many partitions as before and copy the outcomes there, or begin anew with a policy of another name`,
  )
}

export interface ApplyOptions {
  /** Whether changes that keep the state's meaning start in shadow as well (default false). A policy's first version never does. */
  readonly shadow?: boolean
}

/**
 * Writes a new version of every policy that the configuration defines differently. It takes effect at the present end of the policy's
 * outcomes, that of a split policy at the beginning of its parts'; one that gives the state another meaning than the live version starts in shadow.
 * @throws MillraceError PARTITION_MISMATCH, with nothing written
 */
export const applyDefinitions = async (
  runtime: PolicyLog & Pick<Runtime, 'now'>,
  { shadow = false }: ApplyOptions = {},
): Promise<PolicyDefinition[]> => {
  const { broker, config, now } = runtime
  const known = await readDefinitions(runtime)
  const live = liveDefinitions(known)
  const ends = await broker.admin.offsets(topicOf(config, 'outcome'))
  requireUnmoved(runtime, known, ends.length)
  const bodies = new Map(config.policies.map(({ name, definition }) => [name, definition]))
  const applied = differences(runtime, known).map(
    ({ policy, definition, hash, stateHash }): PolicyDefinition => {
      const newest = known.filter((other) => other.policy === policy).at(-1)
      const current = live.get(policy)
      const partition = partitionOf(Buffer.from(policy), ends.length)
      const end = ends.find((each) => each.partition === partition)?.latest ?? 0
      return {
        policy,
        version: (newest?.version ?? 0) + 1,
        definition,
        hash,
        stateHash,
        salt: randomBytes(16).toString('hex'),
        mode: current === undefined || (current.stateHash === stateHash && !shadow) ? 'live' : 'shadow',
        outcomesPartitions: ends.length,
        effectiveFrom: partsOf(bodies.get(policy) ?? {}) > 1 ? 0 : end,
        appliedAt: now(),
      }
    },
  )
  if (applied.length > 0) await writeDefinitions(runtime, applied)
  return applied
}

/** Writes versions: new ones, or others of their keys again. */
export const writeDefinitions = async (
  { broker, codec, config }: PolicyLog,
  definitions: readonly PolicyDefinition[],
): Promise<void> => {
  await codec.prepare(['policy-definition'])
  const writer = await broker.writer()
  try {
    await writer.send(
      definitions.map((definition) => ({
        topic: topicOf(config, 'policy-definition'),
        key: Buffer.from(KEYS['policy-definition'](definition)),
        value: codec.encode('policy-definition', definition),
      })),
    )
  } finally {
    await writer.close()
  }
}
