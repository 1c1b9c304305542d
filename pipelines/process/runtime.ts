/** What every pipeline is given: its surroundings, opened once a process. Nothing here is global, so that tests open several. */
import type { Codec } from '../../infra/avro/codec.ts'
import type { ClickHouse } from '../../infra/clickhouse/connect.ts'
import type { Config } from '../../infra/config/schema.ts'
import type { Health } from '../../infra/http/health.ts'
import type { Endpoint } from '../../infra/http/service.ts'
import type { Broker } from '../../infra/kafka/port.ts'
import type { Log } from '../../infra/telemetry/log.ts'
import type { Metrics } from '../../infra/telemetry/metrics.ts'
import { TOPICS } from '../../schemas/catalogue.ts'
import type { EventName } from '../../schemas/generated/events.ts'
import type { InputTopics } from '../delivery/inputs.ts'
import type { Sink } from '../delivery/sinks.ts'

export interface Runtime {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly health: Health
  /** Where `serve` puts what answers over HTTP. */
  readonly endpoint: Endpoint
  readonly broker: Broker
  readonly codec: Codec
  /** Where each event comes from: millrace's own topic, or the user's that are mapped to it. */
  readonly inputs: InputTopics
  /** The user's topics that events are also written to. */
  readonly sinks: readonly Sink[]
  /**
   * Connects at first use, and again after that failed: only `record` needs it.
   * @param patienceMs how long failures that may pass are tried again where this call connects (default `clickhouse.patience`).
   * @throws MillraceError CLICKHOUSE_UNAVAILABLE, and what cannot pass: CLICKHOUSE_REFUSED, MIGRATION_CHANGED,
   * CLICKHOUSE_UNSUPPORTED_PLATFORM, INVALID_CONFIG
   */
  readonly clickhouse: (patienceMs?: number) => Promise<ClickHouse>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** What a pipeline did with one batch; or that it opened a task, with nothing taken in yet. */
export interface Progress {
  readonly pipeline: string
  readonly opened?: true
  readonly topic: string
  readonly partition: number
  /** Records taken in. */
  readonly received: number
  /** Events committed, by name; for `record` the rows. */
  readonly sent: Readonly<Record<string, number>>
  readonly deadLetters: number
}

/** The name of an event's own topic under the configured prefix. */
export const topicOf = (config: Config, event: EventName): string => `${config.topics.prefix}${TOPICS[event]}`
