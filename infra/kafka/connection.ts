/** How a Kafka cluster is reached, whichever adapter does it. Secrets never appear in messages. */

export interface KafkaTls {
  /** PEM text of the authority that signed the brokers' certificates; the system's authorities where absent. */
  readonly ca?: string
  /** PEM text of the client's own certificate and key, for mutual TLS. */
  readonly cert?: string
  readonly key?: string
  /** Default true. */
  readonly rejectUnauthorized?: boolean
}

export type KafkaSasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
      readonly username: string
      readonly password: string
    }
  | { readonly mechanism: 'oauthbearer'; readonly token: () => Promise<string> }

export interface KafkaConnectionOptions {
  /** `host:port` of some brokers; the others are found through them. */
  readonly brokers: readonly string[]
  readonly clientId?: string
  /** TLS with the system's authorities where `true`. */
  readonly ssl?: KafkaTls | true
  readonly sasl?: KafkaSasl
  /** How long an unreachable cluster is tried again before giving up, in milliseconds (default 30,000). */
  readonly patienceMs?: number
  /** Receives what the client library has to say; nothing is printed where absent. */
  readonly log?: (level: 'error' | 'warn' | 'info' | 'debug', message: string) => void
}

export const DEFAULT_PATIENCE_MS = 30_000

/** For messages: where the cluster is. */
export const addressOf = (options: KafkaConnectionOptions): string => options.brokers.join(',')
