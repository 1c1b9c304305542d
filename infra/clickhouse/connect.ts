/**
 * A connection to ClickHouse over HTTP or HTTPS, with patience: what may pass (no route, a server starting, too many parts, memory) is
 * tried again with growing pauses until the patience ends; what can never pass (a type error, an unknown column, a wrong password) fails
 * at once. Bodies are compressed unless the server is on this machine.
 */
import { Agent } from 'node:https'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { MillraceError } from '../../schemas/errors.ts'
import { describe, isTransient, isTransientForBlock } from './failures.ts'

export interface ClickHouseOptions {
  /** `http://…:8123` or `https://…:8443`. */
  readonly url: string
  readonly username?: string
  readonly password?: string
  /** Where the tables are (default `millrace`). */
  readonly database?: string
  /**
   * PEM files' contents: the authority that signed the server, and a client certificate with its key. A certificate without a password
   * is the login; with one, it is for the line only.
   */
  readonly tls?: {
    readonly ca?: string | Buffer
    readonly cert?: string | Buffer
    readonly key?: string | Buffer
  }
  /** Name of a cluster: tables are then made on all of it, and replicated. */
  readonly cluster?: string
  /** Whether bodies travel compressed (default: unless the server is on this machine). */
  readonly compression?: boolean
  /** One request may take so long (default 30,000). */
  readonly requestTimeoutMs?: number
  /** Failures that may pass are tried again for so long (default 30,000; 0: not at all). */
  readonly patienceMs?: number
  /** Told about every failure that is tried again. */
  readonly log?: (message: string) => void
  /** Ends all waiting, and every request under way, with its reason: for a connection that is not there yet and not to come any more. */
  readonly signal?: AbortSignal
}

/** How a block is waited for, where that differs from its connection. */
export interface InsertOptions {
  /** 0: one try, for who tries again by itself. */
  readonly patienceMs?: number
  /** Gives the block up with the signal's reason. Whether the server took it is then unknown, and sending it again is safe. */
  readonly signal?: AbortSignal
}

/** One block of rows: the same bytes under the same token however often it is sent. */
export interface Block {
  readonly table: string
  /** Columns in the order of the rows' values. */
  readonly columns: readonly string[]
  /** The rows in RowBinary. */
  readonly bytes: Uint8Array
  /** Blocks of equal token count once, in the table and in its rollups. */
  readonly token: string
}

export interface ClickHouse {
  readonly client: ClickHouseClient
  readonly url: string
  readonly database: string
  readonly cluster: string | undefined
  /** Rows of a SELECT; `params` fill `{name:Type}` in it. UInt64 and Int64 come as strings. */
  query<T>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<T[]>
  /** Runs a statement that returns no rows and may be repeated. */
  command(sql: string, params?: Readonly<Record<string, unknown>>): Promise<void>
  /** Creates the database unless it exists. */
  createDatabase(): Promise<void>
  /**
   * Inserts a block, again with the same token after failures that may pass: exactly once in effect.
   * @throws MillraceError CLICKHOUSE_REFUSED, CLICKHOUSE_UNAVAILABLE
   */
  insertBlock(block: Block, options?: InsertOptions): Promise<void>
  /** Whether the server answers a query of this user. Never throws. */
  ping(): Promise<boolean>
  close(): Promise<void>
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 3_000
/** Below the 3 s for which older servers keep an idle connection. */
const IDLE_SOCKET_MS = 2_000
const MOST_SOCKETS = 8

/** What every insert says: the token decides, views deduplicate too, nothing is guessed or dropped. */
export const INSERT_SETTINGS = {
  async_insert: 0,
  insert_deduplicate: 1,
  deduplicate_blocks_in_dependent_materialized_views: 1,
  input_format_skip_unknown_fields: 0,
  input_format_null_as_default: 0,
  input_format_defaults_for_omitted_fields: 0,
  materialized_views_ignore_errors: 0,
  // Events of any time are taken; a block that can never pass would stop its partition.
  max_partitions_per_insert_block: '0',
  wait_end_of_query: 1,
} as const

/** A name as it stands in SQL. */
export const quoted = (name: string): string => `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``

const parseUrl = (text: string): URL => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new MillraceError('INVALID_CONFIG', `clickhouse.url must begin with http:// or https://`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new MillraceError(
      'INVALID_CONFIG',
      'clickhouse.url must not hold a user or password: set them apart',
    )
  }
  return url
}

/**
 * What the client is told about TLS. It takes a client certificate for a login without a password; where both are given, the certificate is
 * only for the line, which an agent of our own then keeps.
 */
const tlsOptions = ({ tls, password }: ClickHouseOptions) => {
  if (tls === undefined) return {}
  const { ca, cert, key } = tls
  if (ca === undefined || (cert === undefined) !== (key === undefined)) {
    throw new MillraceError('INVALID_CONFIG', 'clickhouse.tls needs ca, and cert and key together or neither')
  }
  const ca_cert = Buffer.from(ca)
  if (cert === undefined || key === undefined) return { tls: { ca_cert } }
  if (password === undefined || password === '') {
    return { tls: { ca_cert, cert: Buffer.from(cert), key: Buffer.from(key) } }
  }
  return {
    http_agent: new Agent({
      ca,
      cert,
      key,
      keepAlive: true,

      maxSockets: MOST_SOCKETS,
    }),
  }
}

/**
 * Connects, and waits until the server answers this user. The database need not exist yet: `createDatabase` is the migrations' first step.
 * @throws MillraceError CLICKHOUSE_UNAVAILABLE when nothing answers within the patience; CLICKHOUSE_REFUSED when the server
 * refuses user or password; INVALID_CONFIG for a malformed url or tls.
 */
export const connectClickHouse = async (options: ClickHouseOptions): Promise<ClickHouse> => {
  const { requestTimeoutMs = 30_000, database = 'millrace', log = () => {} } = options
  const { cluster, password = '' } = options
  const url = parseUrl(options.url)
  const where = url.origin
  const compression = options.compression ?? !LOOPBACK.test(url.hostname)
  const tls = tlsOptions(options)
  const open = (within?: string): ClickHouseClient =>
    createClient({
      url: url.href,
      username: options.username ?? 'default',
      password,
      application: 'millrace',
      request_timeout: requestTimeoutMs,
      max_open_connections: MOST_SOCKETS,
      compression: { request: compression, response: compression },
      // A socket idle for longer than the server keeps it would fail the next request.
      keep_alive: { enabled: true, idle_socket_ttl: IDLE_SOCKET_MS, eagerly_destroy_stale_sockets: true },
      log: { level: ClickHouseLogLevel.OFF },
      ...(within === undefined ? {} : { database: within }),
      ...tls,
    })
  const client = open(database)

  /** Runs `attempt` until it passes, cannot pass, patience ends, or it is given up. */
  const patiently = async <T>(
    what: string,
    attempt: (signal: AbortSignal | undefined) => Promise<T>,
    { patienceMs = options.patienceMs ?? 30_000, signal = options.signal }: InsertOptions = {},
    passes = isTransient,
  ): Promise<T> => {
    const deadline = performance.now() + patienceMs
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      signal?.throwIfAborted()
      try {
        return await attempt(signal)
      } catch (cause) {
        signal?.throwIfAborted()
        const said = describe(cause)
        const why = password === '' ? said : said.replaceAll(password, '***')
        if (!passes(cause)) {
          throw new MillraceError('CLICKHOUSE_REFUSED', `ClickHouse at ${where} refused ${what}: ${why}`, {
            cause,
          })
        }
        if (performance.now() + pause > deadline) {
          const within = patienceMs === 0 ? '' : ` within ${patienceMs / 1000} s`
          throw new MillraceError(
            'CLICKHOUSE_UNAVAILABLE',
            `ClickHouse at ${where} did not take ${what}${within}: ${why}. ` +
              'Start that server, correct clickhouse.url, or leave it out to use the embedded one.',
            { cause },
          )
        }
        log(`ClickHouse at ${where}: ${why}; trying ${what} again in ${pause} ms`)
        await sleep(pause, undefined, { signal }).catch(() => {})
      }
    }
  }

  const until = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abort_signal: signal })

  const selectOne = async (signal?: AbortSignal): Promise<void> => {
    const answer = await client.ping({ select: true, ...until(signal) })
    const unknownDatabase =
      !answer.success && 'type' in answer.error && answer.error.type === 'UNKNOWN_DATABASE'
    if (!answer.success && !unknownDatabase) throw answer.error
  }

  const close = async (): Promise<void> => {
    await client.close()
    if (tls.http_agent !== undefined) tls.http_agent.destroy()
  }

  const connection: ClickHouse = {
    client,
    url: where,
    database,
    cluster,
    query: <T>(sql: string, params: Readonly<Record<string, unknown>> = {}) =>
      patiently('a query', async (signal) => {
        const result = await client.query({
          query: sql,
          format: 'JSONEachRow',
          query_params: { ...params },
          clickhouse_settings: { wait_end_of_query: 1, output_format_json_quote_64bit_integers: 1 },
          ...until(signal),
        })
        return await result.json<T>()
      }),
    command: (sql, params = {}) =>
      patiently('a statement', async (signal) => {
        await client.command({
          query: sql,
          query_params: { ...params },
          clickhouse_settings: { wait_end_of_query: 1 },
          ...until(signal),
        })
      }),
    createDatabase: () =>
      patiently('CREATE DATABASE', async (signal) => {
        const outside = open()
        const onCluster = cluster === undefined ? '' : ` ON CLUSTER ${quoted(cluster)}`
        try {
          const query = `CREATE DATABASE IF NOT EXISTS ${quoted(database)}${onCluster}`
          await outside.command({ query, ...until(signal) })
        } finally {
          await outside.close()
        }
      }),
    insertBlock: ({ table, columns, bytes, token }, how) =>
      patiently(
        `a block for ${table}`,
        async (signal) => {
          const { stream } = await client.exec({
            query: `INSERT INTO ${quoted(table)} (${columns.map(quoted).join(', ')}) FORMAT RowBinary`,
            values: Readable.from([bytes], { objectMode: false }),
            clickhouse_settings: { ...INSERT_SETTINGS, insert_deduplication_token: token },
            ...until(signal),
          })
          // The answer is empty; the socket is free once it was read to its end.
          for await (const _ of stream);
        },
        how,
        isTransientForBlock,
      ),
    ping: () =>
      selectOne().then(
        () => true,
        () => false,
      ),
    close,
  }
  try {
    await patiently('a connection', selectOne)
    return connection
  } catch (error) {
    await close()
    throw error
  }
}
