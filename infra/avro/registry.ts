/**
 * A Confluent-compatible schema registry, asked through @kafkajs/confluent-schema-registry, and the framing that names its schemas:
 * 00, the big-endian schema id, the value. A schema never changes under its id, so what was loaded is kept and everything
 * after is synchronous.
 */
import { Agent as HttpAgent } from 'node:http'
import { type AgentOptions, Agent as HttpsAgent } from 'node:https'
import { SchemaRegistry as Client, type COMPATIBILITY, SchemaType } from '@kafkajs/confluent-schema-registry'
import { MillraceError } from '../../schemas/errors.ts'

export interface RegistryOptions {
  /** Base address, path included where there is one; `user:password@` in it is used as basic auth. */
  readonly url: string
  readonly auth?: { readonly username: string; readonly password: string }
  /** Certificates and their checks, for https. */
  readonly tls?: Pick<
    AgentOptions,
    'ca' | 'cert' | 'key' | 'passphrase' | 'rejectUnauthorized' | 'servername'
  >
  /** Whether schemas the registry lacks are registered (default true); else they must be there. */
  readonly register?: boolean
  /** Patience with one request (default 10,000). */
  readonly timeoutMs?: number
}

export interface SchemaRegistry {
  /**
   * The id of a schema under a subject, which is registered where it is missing and `register` allows it.
   * @throws MillraceError REGISTRY_UNAVAILABLE, INCOMPATIBLE_SCHEMA, UNKNOWN_SCHEMA (missing, and not to be registered), INVALID_CONFIG
   * (credentials refused).
   */
  idOf(subject: string, schema: string): Promise<number>
  /** The newest schema of a subject. @throws MillraceError as `idOf`. */
  latest(subject: string): Promise<{ readonly id: number; readonly schema: string }>
  /** Loads the schemas that Confluent-framed messages name. @throws MillraceError REGISTRY_UNAVAILABLE, INVALID_CONFIG. */
  ensureSchemas(messages: readonly (Buffer | null)[]): Promise<void>
  /** A loaded schema; undefined where the registry does not know the id, or not as Avro. */
  schemaOf(id: number): string | undefined
  close(): void
}

/** An id the registry did not know is asked for again after this time. */
const FORGET_UNKNOWN_MS = 60_000
const MOST_UNKNOWN = 10_000
const CONCURRENT_REQUESTS = 8

/** 00 and the id. */
export const confluentFraming = (id: number): Buffer => {
  const framing = Buffer.alloc(5)
  framing.writeUInt32BE(id, 1)
  return framing
}

/** The schema id of a Confluent-framed message; null where it is framed otherwise. */
export const confluentId = (message: Buffer): number | null =>
  message.length >= 5 && message[0] === 0 ? message.readUInt32BE(1) : null

/** Nothing is asked until it is needed. */
export const schemaRegistry = (options: RegistryOptions): SchemaRegistry => {
  const url = new URL(options.url)
  const { username, password } = url
  const auth =
    options.auth ??
    (username
      ? { username: decodeURIComponent(username), password: decodeURIComponent(password) }
      : undefined)
  url.username = url.password = ''
  const host = url.href.replace(/\/$/, '')
  const agent =
    url.protocol === 'https:'
      ? new HttpsAgent({ keepAlive: true, ...options.tls })
      : new HttpAgent({ keepAlive: true })
  const client = new Client({ host, agent, clientId: 'millrace', ...(auth && { auth }) })
  const schemas = new Map<number, string>()
  const unknownUntil = new Map<number, number>()

  const ask = async <T>(request: () => Promise<T>): Promise<T> => {
    const patience = options.timeoutMs ?? 10_000
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${patience} ms`)), patience)
    })
    try {
      return await Promise.race([request(), late])
    } catch (error) {
      throw asRegistryError(error, host)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ids found or being asked for, by subject and schema: pipelines of one process ask for the same ones at once. */
  const ids = new Map<string, Promise<number>>()

  const load = async (id: number): Promise<string> => {
    const known = schemas.get(id)
    if (known !== undefined) return known
    const found: object = await ask(() => client.getSchema(id))
    if (!('typeName' in found && 'schema' in found && typeof found.schema === 'function')) {
      throw new MillraceError('UNKNOWN_SCHEMA', `schema ${id} of the registry is not Avro`)
    }
    const schema = JSON.stringify(found.schema({ exportAttrs: true }))
    schemas.set(id, schema)
    return schema
  }

  const loadOrRemember = async (id: number): Promise<void> => {
    try {
      await load(id)
    } catch (error) {
      if (!(error instanceof MillraceError && error.code === 'UNKNOWN_SCHEMA')) throw error
      if (unknownUntil.size >= MOST_UNKNOWN) unknownUntil.clear()
      unknownUntil.set(id, Date.now() + FORGET_UNKNOWN_MS)
    }
  }

  const find = (subject: string, confluent: { type: SchemaType.AVRO; schema: string }) =>
    ask(() => client.getRegistryIdBySchema(subject, confluent))

  const findOrRegister = async (subject: string, schema: string): Promise<number> => {
    const confluent = { type: SchemaType.AVRO as const, schema }
    try {
      return await find(subject, confluent)
    } catch (error) {
      if (!(error instanceof MillraceError && error.code === 'UNKNOWN_SCHEMA')) throw error
      if (options.register === false) throw error
    }
    try {
      return (await ask(() => register(client, subject, confluent))).id
    } catch (refused) {
      // Another process may have registered it in between, which registries refuse as a conflict.
      return await find(subject, confluent).catch(() => {
        throw refused
      })
    }
  }

  return {
    idOf(subject, schema) {
      const name = JSON.stringify([subject, schema])
      const asked = ids.get(name) ?? findOrRegister(subject, schema)
      ids.set(name, asked)
      asked.catch(() => ids.delete(name))
      return asked
    },
    async latest(subject) {
      const id = await ask(() => client.getLatestSchemaId(subject))
      return { id, schema: await load(id) }
    },
    async ensureSchemas(messages) {
      const missing = new Set<number>()
      for (const message of messages) {
        const id = message && confluentId(message)
        if (id === null || schemas.has(id)) continue
        // Ids are 32-bit and signed; others cannot be known.
        if (id < 2 ** 31 && !((unknownUntil.get(id) ?? 0) > Date.now())) missing.add(id)
      }
      const loading = [...missing]
      for (let from = 0; from < loading.length; from += CONCURRENT_REQUESTS) {
        await Promise.all(loading.slice(from, from + CONCURRENT_REQUESTS).map(loadOrRemember))
      }
    },
    schemaOf: (id) => schemas.get(id),
    close: () => agent.destroy(),
  }
}

/** Keeps the client from its own default level, and from setting that on a new subject. */
const NO_LEVEL: object = { compatibility: undefined }

/** The client insists on a compatibility level; whichever the subject has is right. */
const register = async (
  client: Client,
  subject: string,
  schema: { type: SchemaType.AVRO; schema: string },
): Promise<{ id: number }> => {
  try {
    return await client.register(schema, Object.assign({ subject }, NO_LEVEL))
  } catch (error) {
    const level = /^Compatibility does not match .*!= (\w+)\)$/.exec(
      error instanceof Error ? error.message : '',
    )?.[1]
    if (level === undefined) throw error
    return client.register(schema, { subject, compatibility: level as COMPATIBILITY })
  }
}

/** 404 unknown, 409 and 422 refused, 401 and 403 for a person to mend; the rest is absence. */
const asRegistryError = (error: unknown, host: string): MillraceError => {
  if (error instanceof MillraceError) return error
  const message = error instanceof Error ? error.message : String(error)
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined
  const name = error instanceof Error ? error.name : ''
  if (status === 404 || name === 'ConfluentSchemaRegistryError')
    return new MillraceError('UNKNOWN_SCHEMA', message, { cause: error })
  if (status === 409 || status === 422)
    return new MillraceError('INCOMPATIBLE_SCHEMA', message, { cause: error })
  if (status === 401 || status === 403) {
    return new MillraceError(
      'INVALID_CONFIG',
      `schema registry ${host} refuses the credentials: ${message}`,
      { cause: error },
    )
  }
  return new MillraceError('REGISTRY_UNAVAILABLE', `schema registry ${host}: ${message}`, { cause: error })
}
