/**
 * Everything `millrace run` stands on, looked at and never changed: mappings, schemas, registry, topics, tables, policies. Every check runs,
 * whatever the others found, and says in one line what it found.
 */
import { readFileSync } from 'node:fs'
import { payloadReader, typeOfSchema } from '../../infra/avro/payload.ts'
import { type SchemaRegistry, schemaRegistry } from '../../infra/avro/registry.ts'
import { DEFAULT_LIMITS } from '../../infra/avro/skim.ts'
import { registryConnection } from '../../infra/config/connections.ts'
import type { Config } from '../../infra/config/schema.ts'
import type { Broker } from '../../infra/kafka/port.ts'
import { checkMapping, parseJson } from '../../operators/streams/mapping.ts'
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'
import { type EventName, SCHEMAS } from '../../schemas/generated/events.ts'
import { dynamicCodec, openCodec } from '../process/open.ts'
import { topicOf } from '../process/runtime.ts'
import { differences, readDefinitions } from '../states/policies.ts'
import { eventsOf, retentionProblems, topicProblems } from './topics.ts'

/** One line of a check. */
export interface Finding {
  readonly ok: boolean
  readonly what: string
  readonly detail: string
}

const ok = (what: string, detail: string): Finding => ({ ok: true, what, detail })

const failed = (what: string, code: ErrorCode, message: string): Finding => ({
  ok: false,
  what,
  detail: `${code}: ${message}`,
})

/** Runs one check; a MillraceError is what it found. */
export const finding = async (what: string, check: () => Promise<Finding[]>): Promise<Finding[]> => {
  try {
    return await check()
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return [failed(what, error.code, error.message)]
  }
}

/** Whether every released schema can be read as its present one. */
export const checkSchemas = async (): Promise<Finding[]> => {
  const events = Object.entries(SCHEMAS)
  const broken = events.flatMap(([event, { current, earlier }]) =>
    [current, ...earlier].flatMap((released, index) => {
      try {
        payloadReader(typeOfSchema(current), typeOfSchema(released), DEFAULT_LIMITS)
        return []
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        const which = index === 0 ? 'the present schema' : `released schema ${index}`
        return [failed('schemas', error.code, `${which} of ${event}: ${error.message}`)]
      }
    }),
  )
  if (broken.length > 0) return broken
  const released = events.reduce((sum, [, { earlier }]) => sum + earlier.length, 0)
  return [ok('schemas', `${events.length} events, ${released} earlier schemas of theirs readable`)]
}

/** Whether the registry answers, has the schemas or may be given them, and what others registered last can be read. Nothing is registered. */
export const checkRegistry = async (config: Config): Promise<Finding[]> => {
  const options = registryConnection(config)
  if (options === undefined) return [ok('registry', 'none is configured: single-object encoding')]
  const registry = schemaRegistry({ ...options, register: false })
  try {
    const missing: string[] = []
    for (const event of eventsOf(config)) {
      const subject = `${topicOf(config, event)}-value`
      if (!(await isRegistered(registry, subject, event))) missing.push(event)
      await requireReadable(registry, subject, event)
    }
    const where = `${options.url} answers`
    if (missing.length === 0) return [ok('registry', `${where} and has every schema`)]
    if (options.register !== false)
      return [ok('registry', `${where}; at first use will be registered: ${missing.join(', ')}`)]
    const message = `${where} and lacks ${missing.join(', ')}, with schemaRegistry.register: false`
    return [failed('registry', 'UNKNOWN_SCHEMA', message)]
  } finally {
    registry.close()
  }
}

/** @throws MillraceError INCOMPATIBLE_SCHEMA where what is written with a subject's newest schema could not be read as the event. */
const requireReadable = async (
  registry: SchemaRegistry,
  subject: string,
  event: EventName,
): Promise<void> => {
  try {
    const { schema } = await registry.latest(subject)
    payloadReader(typeOfSchema(SCHEMAS[event].current), typeOfSchema(schema), DEFAULT_LIMITS)
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code === 'REGISTRY_UNAVAILABLE') throw error
    // A subject that is not there has nothing to be read.
    if (error.code === 'INCOMPATIBLE_SCHEMA')
      throw new MillraceError(error.code, `the newest schema of ${subject}: ${error.message}`)
  }
}

const isRegistered = async (
  registry: SchemaRegistry,
  subject: string,
  event: EventName,
): Promise<boolean> => {
  try {
    await registry.idOf(subject, SCHEMAS[event].current)
    return true
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'UNKNOWN_SCHEMA') return false
    throw error
  }
}

/** Every source's sample, mapped: the detail is the event it becomes. */
export const checkMappings = async (
  config: Config,
  registry: SchemaRegistry | undefined,
): Promise<Finding[]> => {
  const findings = config.sources.map((source, index) =>
    finding(`mapping ${source.topic}`, async () => {
      const { topic, event, format, sample } = source
      const what = `mapping ${topic}`
      if (sample === undefined) return [ok(what, `gives ${event}; there is no sample to try it on`)]
      const bytes = readSample(sample, index)
      const avro = format === 'json' ? null : dynamicCodec(source, registry, config)
      await avro?.ensureSchemas([bytes])
      const decode = avro === null ? parseJson : (message: Uint8Array) => avro.decode(Buffer.from(message))
      return [ok(what, `the sample gives ${event} ${JSON.stringify(checkMapping(source, bytes, decode))}`)]
    }),
  )
  return (await Promise.all(findings)).flat()
}

const readSample = (file: string, index: number): Buffer => {
  try {
    return readFileSync(file)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    const why = code === 'ENOENT' ? 'there is no such file' : code
    throw new MillraceError('INVALID_CONFIG', `sources[${index}].sample: cannot read ${file}: ${why}`)
  }
}

/** Whether the topics are there, even where they are read together, wide enough for dead letters, and kept for long enough. */
export const checkTopics = async (config: Config, broker: Broker): Promise<Finding[]> => {
  const { missing, uneven, small } = await topicProblems({ config, broker })
  const findings = [
    ...(missing.length > 0
      ? [
          failed(
            'topics',
            'MISSING_TOPIC',
            `${missing.join(', ')}. millrace run --create-topics makes its own`,
          ),
        ]
      : []),
    ...uneven.map((line) => failed('topics', 'PARTITION_MISMATCH', line)),
    ...small.map((line) => failed('topics', 'MESSAGE_TOO_LARGE', line)),
    ...(await retentionProblems({ config, broker })).map((line) =>
      failed('topics', 'RETENTION_TOO_SHORT', line),
    ),
  ]
  const well = 'all there, even, wide enough for dead letters, and kept for as long as the join needs'
  return findings.length > 0 ? findings : [ok('topics', well)]
}

/** Whether the configuration's policies are those of the log. */
export const checkPolicies = async (
  config: Config,
  broker: Broker,
  registry: SchemaRegistry | undefined,
): Promise<Finding[]> => {
  if (config.policies.length === 0) return [ok('policies', 'none is configured')]
  const definitions = await readDefinitions({ config, broker, codec: openCodec(config, registry) })
  const different = differences({ config }, definitions)
  if (different.length === 0) return [ok('policies', `${config.policies.length} agree with the log`)]
  return different.map(({ policy, what }) =>
    failed('policies', 'POLICY_DIFFERS', `"${policy}" is ${what}: millrace policies apply writes it there`),
  )
}
