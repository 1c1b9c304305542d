/**
 * `npm run generate`: writes generated/events.ts from events/*.avsc; `--check` fails where that file is not current or a released
 * schema could no longer be read; `--release` also keeps every schema that changed as released/<event>/<n>.avsc.
 *
 * A release is what lies on topics, so schemas are compared in Avro's parsing canonical form: documentation and defaults may change
 * without a new number.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import avsc from 'avsc'
import { MillraceError } from './errors.ts'
import { type RecordSchema, typesOf } from './typescript.ts'

/** One event with its history. */
export interface EventSchema {
  /** `decision-request`: the file's name and the folder of its releases. */
  readonly file: string
  /** The schema file, parsed. */
  readonly schema: RecordSchema
  /** Released schemas, oldest first: number 1 is the first. */
  readonly released: readonly RecordSchema[]
}

/** The parsing canonical form: what decides the layout of the bytes, and nothing else. */
export const canonicalForm = (schema: RecordSchema): string =>
  JSON.stringify(avsc.Type.forSchema(schema as avsc.schema.AvroSchema, { wrapUnions: false }).schema())

/** Reads `<root>/events/*.avsc` and `<root>/released/<event>/<n>.avsc`; events in the order of their file names. */
export const readSchemas = (root: string): EventSchema[] =>
  avscFiles(join(root, 'events')).map((path) => {
    const file = basename(path, '.avsc')
    const number = (release: string) => Number(basename(release, '.avsc'))
    const released = avscFiles(join(root, 'released', file)).sort((a, b) => number(a) - number(b))
    return { file, schema: readJson(path), released: released.map(readJson) }
  })

/**
 * Holds every event to its releases: bytes written with any of them must be readable now.
 * @throws MillraceError INCOMPATIBLE_SCHEMA naming the event, the release and what stands in the way.
 */
export const checkCompatible = (events: readonly EventSchema[]): void => {
  for (const { file, schema, released } of events) {
    const reader = avsc.Type.forSchema(schema as avsc.schema.AvroSchema, { wrapUnions: false })
    for (const [index, old] of released.entries()) {
      const writer = avsc.Type.forSchema(old as avsc.schema.AvroSchema, { wrapUnions: false })
      try {
        reader.createResolver(writer)
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause)
        const message = `${file}.avsc cannot read what released/${file}/${index + 1}.avsc wrote: ${why}`
        throw new MillraceError('INCOMPATIBLE_SCHEMA', message, { cause })
      }
    }
  }
}

/** Releases whose event is gone: their bytes may still lie on a topic. */
export const abandonedReleases = (root: string, events: readonly EventSchema[]): string[] => {
  const folder = join(root, 'released')
  const known = new Set(events.map(({ file }) => file))
  return existsSync(folder) ? readdirSync(folder).filter((name) => !known.has(name)) : []
}

/** The number under which an event's schema is to be released, or null where its newest release is equal. */
export const nextRelease = ({ schema, released }: EventSchema): number | null => {
  const newest = released.at(-1)
  return newest && canonicalForm(newest) === canonicalForm(schema) ? null : released.length + 1
}

/** The text of generated/events.ts: types, then the schemas themselves, so that nothing reads files at run time. */
export const generatedSource = (events: readonly EventSchema[]): string => {
  const lines = [
    '/** Generated from schemas/events by `npm run generate`: do not edit. */',
    '',
    typesOf(events.map(({ schema }) => schema)),
    '/** Event name → its type. */',
    'export interface EventTypes {',
    ...events.map(({ file, schema }) => `  ${propertyName(file)}: ${schema.name}`),
    '}',
    '',
    '/** Name of an event. */',
    'export type EventName = keyof EventTypes',
    '',
    '/** The Avro schema of every event, and earlier releases (canonical form) whose bytes it reads too. */',
    'export const SCHEMAS: Readonly<',
    '  Record<EventName, { readonly current: string; readonly earlier: readonly string[] }>',
    '> = {',
  ]
  for (const { file, schema, released } of events) {
    const current = canonicalForm(schema)
    const earlier = [...new Set(released.map(canonicalForm))].filter((form) => form !== current)
    lines.push(`  ${propertyName(file)}: {`, `    current: ${literal(JSON.stringify(schema))},`)
    lines.push(
      `    earlier: [${earlier.map((form) => `\n      ${literal(form)},`).join('')}${earlier.length ? '\n    ' : ''}],`,
    )
    lines.push('  },')
  }
  return `${lines.join('\n')}\n}\n`
}

/** Events are named as their schema files are: `decision-request`. */
const propertyName = (file: string): string => (/^[a-z]+$/.test(file) ? file : `'${file}'`)

const literal = (text: string): string =>
  `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`

const avscFiles = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.avsc'))
        .sort()
        .map((name) => join(folder, name))
    : []

const readJson = (path: string): RecordSchema => JSON.parse(readFileSync(path, 'utf8'))

/** Runs the command. Returns the exit code. */
export const main = (root: string, flags: readonly string[]): number => {
  const target = join(root, 'generated', 'events.ts')
  try {
    const events = readSchemas(root)
    checkCompatible(events)
    const [gone] = abandonedReleases(root, events)
    if (gone) throw new MillraceError('INCOMPATIBLE_SCHEMA', `released/${gone} has no events/${gone}.avsc`)
    for (const event of flags.includes('--release') ? events : []) {
      const release = nextRelease(event)
      if (release === null) continue
      const folder = join(root, 'released', event.file)
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, `${release}.avsc`), `${JSON.stringify(event.schema, null, 2)}\n`)
      console.log(`released ${event.file} ${release}`)
    }
    const source = generatedSource(readSchemas(root))
    if (flags.includes('--check')) {
      const current = existsSync(target) ? readFileSync(target, 'utf8') : ''
      if (current !== source) throw new Error('generated/events.ts is not current: npm run generate')
    } else {
      mkdirSync(join(root, 'generated'), { recursive: true })
      writeFileSync(target, source)
    }
    for (const event of readSchemas(root).filter((event) => nextRelease(event) !== null)) {
      console.log(`${event.file}.avsc is not released yet: npm run generate -- --release`)
    }
    console.log(`${events.length} event schemas read all their releases`)
    return 0
  } catch (error) {
    console.error(error instanceof MillraceError ? `${error.code}: ${error.message}` : String(error))
    return 1
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = main(fileURLToPath(new URL('.', import.meta.url)), process.argv.slice(2))
}
