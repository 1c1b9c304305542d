/** The demo's configuration: embedded defaults, and a window measured in events, since the environment's event time runs by events. */
import { loadConfig } from '../../infra/config/load.ts'
import type { Config } from '../../infra/config/schema.ts'
import { PIXELS } from './digits.ts'
import type { DocumentPlan } from './document-plan.ts'

export const POLICY = 'digits'
export const MODEL = 'glosses'
/** Documents that a model is trained on, at most: all that the demo publishes to its end. */
const DOCUMENTS = 70_000
/**
 * The window in events: more than may be in flight before a reward is sent, so that no reward is late whatever the speed.
 */
const WINDOW_EVENTS = 160
/** Wall-clock silence after which windows close; longer on a real cluster, whose transactions may stall for a moment. */
const IDLE_MS = { memory: 1_000, kafkajs: 3_000 }

export interface DemoBroker {
  readonly adapter: 'memory' | 'kafkajs'
  readonly brokers: readonly string[]
  readonly prefix: string
}

/**
 * @param stepMs event time between two requests.
 * @param models folder for the policy's snapshots: until there is one, an in-memory broker keeps all outcomes.
 * @param documents what the job of documents is to do; null where it does not run
 * @param clickhouse address of a server, in which the demo makes a database of its own; the embedded one where absent.
 */
export const demoConfiguration = (
  stepMs: number,
  { adapter, brokers, prefix }: DemoBroker,
  models: string,
  documents: DocumentPlan | null,
  clickhouse?: string,
): Config =>
  loadConfig({
    env: clickhouse === undefined ? {} : serverOf(process.env),
    overrides: {
      app: `${prefix}demo`,
      'kafka.adapter': adapter,
      'kafka.brokers': brokers.length > 0 ? brokers : undefined,
      'clickhouse.url': clickhouse,
      'topics.prefix': prefix,
      'topics.create': true,
      'join.window': `${Math.ceil(WINDOW_EVENTS * stepMs)}ms`,
      'join.grace': '0ms',
      'join.idleTimeout': `${IDLE_MS[adapter]}ms`,
      'snapshots.every': 10_000,
      'models.directory': models,
      'record.maxRows': 1000,
      'record.maxWait': '500ms',
      'metrics.interval': '1s',
      'http.port': 0,
      'log.level': 'warn',
      'log.pretty': true,
      policies: [
        {
          name: POLICY,
          algorithm: { kind: 'linUcb', variant: 'disjoint', alpha: 0.25, lambda: 1 },
          features: { dense: PIXELS, bias: true },
          explorationFloor: 0.01,
        },
      ],
      ...(documents === null ? {} : { tag: taggingOf(documents) }),
    },
  })

const taggingOf = ({ first, every }: DocumentPlan) => ({
  model: MODEL,
  features: { kind: 'text', numbers: false, minDocuments: 3 },
  retrain: { minDocuments: first, every, window: DOCUMENTS },
})

/** Of the environment only what a server of the user's asks for: the demo is otherwise the same everywhere. */
const serverOf = ({
  MILLRACE_CLICKHOUSE_USERNAME,
  MILLRACE_CLICKHOUSE_PASSWORD,
  MILLRACE_CLICKHOUSE_DATABASE = `millrace_demo_${Date.now().toString(36)}`,
}: NodeJS.ProcessEnv) => ({
  MILLRACE_CLICKHOUSE_USERNAME,
  MILLRACE_CLICKHOUSE_PASSWORD,
  MILLRACE_CLICKHOUSE_DATABASE,
})
