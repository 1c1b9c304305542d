/** What a row's workers are told, and the topics and policies that stand before any of them. */
import { join } from 'node:path'
import { loadConfig } from '../../infra/config/load.ts'
import { createLog } from '../../infra/telemetry/log.ts'
import { createTopics } from '../../pipelines/checks/topics.ts'
import { openRuntime } from '../../pipelines/process/open.ts'
import { applyDefinitions } from '../../pipelines/states/policies.ts'
import { either } from './settings.ts'
import { DIMENSION, type WorldOptions } from './world.ts'

/** A configuration as it is written: blocks of keys. */
export type Tree = Readonly<Record<string, unknown>>

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `base` with the keys of `over`, block by block. */
export const merged = (base: Tree, over: Tree): Tree => {
  const result: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over))
    result[key] = isTree(value) && isTree(result[key]) ? merged(result[key], value) : value
  return result
}

export interface Surroundings {
  readonly name: string
  readonly prefix: string
  /** The row's own files: snapshots lie in `models` in there. */
  readonly folder: string
  readonly bootstrap: string
  readonly replicas: number
  /** As in the configuration. */
  readonly clickhouse: Tree
}

/** Short time-outs, so that faults are over soon; and an idle time-out so long that no stall is taken for silence. */
export const configurationOf = (
  { name, prefix, folder, bootstrap, replicas, clickhouse }: Surroundings,
  {
    policies,
    partitions,
    windowMs,
    graceMs,
  }: Pick<WorldOptions, 'policies' | 'partitions' | 'windowMs' | 'graceMs'>,
): Tree => ({
  app: name,
  kafka: {
    brokers: bootstrap.split(','),
    sessionTimeout: '3s',
    transactionTimeout: '6s',
    revokeTimeout: '2s',
  },
  topics: { prefix, partitions, replicationFactor: replicas },
  http: { port: 0 },
  clickhouse,
  policies: policies.map((policy) => ({
    name: policy,
    algorithm: { kind: 'linUcb', alpha: 0.5 },
    features: { dense: DIMENSION },
    explorationFloor: 0.1,
  })),
  join: { window: `${windowMs}ms`, grace: `${graceMs}ms`, idleTimeout: either('60s', '30m') },
  record: { maxWait: '200ms' },
  snapshots: { every: 500 },
  models: { directory: join(folder, 'models') },
})

/** A configuration by dotted keys, for what the suite itself does, past the proxy. */
export const overridesOf = (config: Tree, brokers: string): Readonly<Record<string, unknown>> => {
  const overrides = Object.fromEntries(
    Object.entries(config).flatMap(([block, value]) =>
      isTree(value)
        ? Object.entries(value).map(([key, inner]) => [`${block}.${key}`, inner])
        : [[block, value]],
    ),
  )
  return { ...overrides, 'kafka.brokers': brokers.split(','), 'log.level': 'silent' }
}

/** Makes topics and applies policies by the product's own functions, past the proxy. */
export const prepare = async (config: Tree, brokers: string): Promise<void> => {
  const loaded = loadConfig({ env: {}, overrides: overridesOf(config, brokers) })
  const runtime = await openRuntime(loaded, { log: createLog(loaded.log) })
  try {
    await createTopics(runtime)
    await applyDefinitions(runtime)
  } finally {
    await runtime.close()
  }
}
