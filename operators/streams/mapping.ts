/**
 * The user's own topics: a source's messages become millrace's events, and events become a sink's messages, by declared paths.
 * Declarations are compiled once into plain functions (a 20-feature request maps in microseconds); whatever a message holds, the only
 * error is MAPPING_FAILED with field, path and what was found, and no message reaches an object's prototype.
 *
 * Source fields take a path, `{path, unit, as, default}` or `{value}`; `context` and an arm's `features` also `{names: {age: $.user.age, …}}`
 * or a list of paths; `arms` is `{each: $.candidates, id, features}`, where `$` is the candidate, or `{value: [a, b]}`. Sink fields are named by
 * their place in the output: `{auction.winner: $.arm}`.
 */
import { MillraceError } from '../../schemas/errors.ts'
import type {
  Activation,
  Decision,
  DecisionRequest,
  Outcome,
  OutcomeCorrection,
  Reward,
} from '../../schemas/generated/events.ts'
import { compileArms, compileFeatures } from './mapping-features.ts'
import {
  at,
  compileField,
  complain,
  isBlock,
  type Kind,
  type MappingProblem,
  type Place,
  type Reader,
} from './mapping-field.ts'
import { numberKind, textKind, timeKind } from './mapping-kind.ts'
import { compileOutput, knownField } from './mapping-output.ts'

export type { MappingProblem } from './mapping-field.ts'

/** The events that a source can give. */
export interface SourceEvents {
  readonly 'decision-request': DecisionRequest
  readonly reward: Reward
  readonly activation: Activation
}

/** The events that a sink can take. */
export interface SinkEvents {
  readonly decision: Decision
  readonly outcome: Outcome
  readonly 'outcome-correction': OutcomeCorrection
}

type Declarations = Readonly<Record<string, unknown>>

export interface SourceMapping<E extends keyof SourceEvents = keyof SourceEvents> {
  readonly event: E
  readonly fields: Declarations
}

export interface SinkMapping<E extends keyof SinkEvents = keyof SinkEvents> {
  readonly event: E
  /** Path of the record's key in the event; `$.requestId` where absent. */
  readonly key?: string
  readonly fields: Declarations
}

/** How a field is compiled, and what stands in its place where it is not declared. */
interface Field<T> {
  readonly compile: (declared: unknown, place: Place) => Reader<T>
  readonly absent?: T
}

const field = <T>(kind: Kind<T>): Field<T> => ({
  compile: (declared, place) => compileField(declared, kind, place),
})

const SOURCES: {
  readonly [E in keyof SourceEvents]: { readonly [F in keyof SourceEvents[E]]: Field<SourceEvents[E][F]> }
} = {
  'decision-request': {
    requestId: field(textKind),
    policy: field(textKind),
    occurredAt: field(timeKind),
    context: { compile: compileFeatures, absent: null },
    arms: { compile: compileArms },
  },
  reward: {
    requestId: field(textKind),
    rewardId: { ...field(textKind), absent: '' },
    value: field(numberKind),
    occurredAt: field(timeKind),
  },
  activation: { requestId: field(textKind), occurredAt: field(timeKind) },
}

/** Every field of the events a sink can take; the types keep the list whole. */
const SINKS: { readonly [E in keyof SinkEvents]: Readonly<Record<keyof SinkEvents[E], true>> } = {
  decision: {
    requestId: true,
    policy: true,
    policyVersion: true,
    policyHash: true,
    occurredAt: true,
    decidedAt: true,
    arm: true,
    propensity: true,
    propensityKind: true,
    arms: true,
    probabilities: true,
    ranking: true,
    vector: true,
    hyperParameters: true,
    stateOffset: true,
    requestPartition: true,
    requestOffset: true,
  },
  outcome: {
    requestId: true,
    policy: true,
    policyVersion: true,
    policyHash: true,
    occurredAt: true,
    closedAt: true,
    arm: true,
    propensity: true,
    propensityKind: true,
    arms: true,
    probabilities: true,
    vector: true,
    hyperParameters: true,
    stateOffset: true,
    requestPartition: true,
    requestOffset: true,
    reward: true,
    rewardKind: true,
    rewardOccurredAt: true,
  },
  'outcome-correction': {
    requestId: true,
    policy: true,
    policyVersion: true,
    arm: true,
    rewardId: true,
    reward: true,
    recorded: true,
    occurredAt: true,
    closedAt: true,
  },
}

const sourceReader = ({ event, fields }: SourceMapping, place: Place): Reader<Record<string, unknown>> => {
  const known: Readonly<Record<string, Field<unknown>>> = SOURCES[event]
  const names = Object.keys(known)
  for (const name of Object.keys(fields))
    if (!names.includes(name)) complain(at(place, name), `unknown field: known are ${names.join(', ')}`)
  const readers = names.map((name) => {
    const { compile, absent } = known[name] as Field<unknown>
    if (Object.hasOwn(fields, name)) return compile(fields[name], at(place, name))
    if (absent === undefined) complain(at(place, name), 'is required')
    return () => absent
  })
  return (message) => {
    const mapped: Record<string, unknown> = {}
    for (let index = 0; index < names.length; index++)
      mapped[names[index] as string] = (readers[index] as Reader<unknown>)(message)
    return mapped
  }
}

const sinkReaders = ({ event, key = '$.requestId', fields }: SinkMapping, place: Place, keyPlace: Place) => {
  const known = Object.keys(SINKS[event])
  knownField(key, known, keyPlace)
  return {
    key: compileField(key, textKind, keyPlace),
    value: compileOutput(fields, known, place),
  }
}

const refuseProblems = (what: string, problems: readonly MappingProblem[]): void => {
  if (problems.length === 0) return
  const lines = problems.map(({ path, message }) => `  ${path.join('.')}: ${message}`)
  throw new MillraceError('INVALID_CONFIG', `the mapping of ${what} is wrong:\n${lines.join('\n')}`)
}

/**
 * Compiles a source: a function from a decoded message to its event, which throws MAPPING_FAILED for a message that does not fit.
 * @throws MillraceError INVALID_CONFIG listing everything wrong with the declarations.
 */
export const compileSource = <E extends keyof SourceEvents>(
  source: SourceMapping<E>,
): ((message: unknown) => SourceEvents[E]) => {
  const problems: MappingProblem[] = []
  const read = sourceReader(source, { path: [], problems })
  refuseProblems(source.event, problems)
  return read as unknown as (message: unknown) => SourceEvents[E]
}

/** A compiled sink: the record's key and its message. Both throw MAPPING_FAILED where the event lacks what is declared. */
export interface CompiledSink<E extends keyof SinkEvents> {
  key(event: SinkEvents[E]): string
  value(event: SinkEvents[E]): Record<string, unknown>
}

/**
 * Compiles a sink.
 * @throws MillraceError INVALID_CONFIG listing everything wrong with the declarations.
 */
export const compileSink = <E extends keyof SinkEvents>(sink: SinkMapping<E>): CompiledSink<E> => {
  const problems: MappingProblem[] = []
  const readers = sinkReaders(sink, { path: [], problems }, { path: ['key'], problems })
  refuseProblems(sink.event, problems)
  return readers
}

/**
 * Everything wrong with the mappings under `sources` and `sinks` of a configuration, which may be any tree: what is not of a mapping's shape
 * is left to the configuration's schema.
 */
export const mappingProblems = ({ sources, sinks }: Declarations): MappingProblem[] => {
  const problems: MappingProblem[] = []
  const entries = (list: unknown, events: object) =>
    (Array.isArray(list) ? list : []).flatMap((entry: unknown, index) =>
      isBlock(entry) && isBlock(entry['fields']) && Object.hasOwn(events, String(entry['event']))
        ? [{ entry: entry as unknown as SourceMapping & SinkMapping, index }]
        : [],
    )
  for (const { entry, index } of entries(sources, SOURCES))
    sourceReader(entry, { path: ['sources', index, 'fields'], problems })
  for (const { entry, index } of entries(sinks, SINKS))
    sinkReaders(
      entry,
      { path: ['sinks', index, 'fields'], problems },
      { path: ['sinks', index, 'key'], problems },
    )
  return problems
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** A message of JSON in UTF-8. @throws MillraceError MALFORMED_JSON */
export const parseJson = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch (error) {
    throw new MillraceError('MALFORMED_JSON', 'the message is not JSON in UTF-8', { cause: error })
  }
}

/**
 * Maps a sample message: what `check` shows. `decode` reads the bytes of the formats other than JSON.
 * @throws MillraceError INVALID_CONFIG, MALFORMED_JSON, MAPPING_FAILED, or what `decode` throws.
 */
export const checkMapping = <E extends keyof SourceEvents>(
  source: SourceMapping<E>,
  sample: Uint8Array,
  decode: (bytes: Uint8Array) => unknown = parseJson,
): SourceEvents[E] => compileSource(source)(decode(sample))
