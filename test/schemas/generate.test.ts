import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import avsc from 'avsc'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { KEYS, TOPICS } from '../../schemas/catalogue.ts'
import {
  checkCompatible,
  type EventSchema,
  generatedSource,
  main,
  readSchemas,
} from '../../schemas/generate.ts'
import { SCHEMAS } from '../../schemas/generated/events.ts'
import { type RecordSchema, typesOf } from '../../schemas/typescript.ts'

const SCHEMAS_FOLDER = fileURLToPath(new URL('../../schemas', import.meta.url))

type Field = { name: string; type: unknown; default?: unknown }
const record = (...fields: Field[]) =>
  ({ type: 'record', name: 'Sample', namespace: 'millrace', fields }) as RecordSchema
const history = (schema: RecordSchema, ...released: RecordSchema[]): EventSchema[] => [
  { file: 'sample', schema, released },
]
const id: Field = { name: 'id', type: 'string' }
const incompatible = expect.objectContaining({ code: 'INCOMPATIBLE_SCHEMA' })

describe('compatibility with released schemas', () => {
  it('allows a field with a default, a wider type, a field fewer', () => {
    const old = record(id, { name: 'count', type: 'int' })
    checkCompatible(history(record(id, { name: 'count', type: 'long' }), old))
    checkCompatible(
      history(record(id, { name: 'count', type: 'int' }, { name: 'note', type: 'string', default: '' }), old),
    )
    checkCompatible(history(record(id), old))
  })

  it('refuses a field without a default, another type, a lost symbol or branch', () => {
    const kind = (...symbols: string[]) => ({ name: 'kind', type: { type: 'enum', name: 'Kind', symbols } })
    const changes: [RecordSchema, RecordSchema][] = [
      [record(id, { name: 'note', type: 'string' }), record(id)],
      [record({ name: 'id', type: 'int' }), record(id)],
      [record({ name: 'id', type: 'int' }), record({ name: 'id', type: 'long' })],
      [record(kind('a')), record(kind('a', 'b'))],
      [record(id), record({ name: 'id', type: ['null', 'string'] })],
    ]
    for (const [schema, old] of changes)
      expect(() => checkCompatible(history(schema, old))).toThrow(incompatible)
  })

  it('holds to every release, not to the last alone', () => {
    const count: Field = { name: 'count', type: 'int' }
    const current = record(id, count)
    expect(() => checkCompatible(history(current, record(id), current))).toThrow(/released\/sample\/1\.avsc/)
  })

  it('keeps what earlier releases wrote readable at run time', () => {
    const current = record(id, { name: 'note', type: 'string', default: 'none' })
    const source = generatedSource(history(current, record(id), current))
    const earlier = /earlier: \[\s+'(.*)',\s+\]/.exec(source)![1]!
    const writer = avsc.Type.forSchema(JSON.parse(earlier))
    const reader = avsc.Type.forSchema(current as avsc.schema.AvroSchema)
    const read = reader.fromBuffer(writer.toBuffer({ id: 'a' }), reader.createResolver(writer))
    expect({ ...read }).toEqual({ id: 'a', note: 'none' })
  })
})

describe('the command', () => {
  let root: string
  const edit = (change: (schema: { fields: Field[] }) => void) => {
    const path = join(root, 'events', 'reward.avsc')
    const schema = JSON.parse(readFileSync(path, 'utf8'))
    change(schema)
    writeFileSync(path, JSON.stringify(schema))
  }

  beforeEach(() => {
    vi.spyOn(console, 'log').mockImplementation(() => {})
    vi.spyOn(console, 'error').mockImplementation(() => {})
    root = mkdtempSync(join(tmpdir(), 'millrace-schemas-'))
    for (const folder of ['events', 'released', 'generated']) {
      cpSync(join(SCHEMAS_FOLDER, folder), join(root, folder), { recursive: true })
    }
  })
  afterEach(() => {
    vi.restoreAllMocks()
    rmSync(root, { recursive: true })
  })

  it('finds this repository current', () => {
    expect(main(root, ['--check'])).toBe(0)
  })

  it('fails the check where the types are stale', () => {
    edit(({ fields }) => fields.push({ name: 'note', type: 'string', default: '' }))
    expect(main(root, ['--check'])).toBe(1)
    expect(main(root, [])).toBe(0)
    expect(main(root, ['--check'])).toBe(0)
  })

  it('fails everything where a released schema could not be read', () => {
    edit(({ fields }) => fields.push({ name: 'note', type: 'string' }))
    expect(main(root, ['--check'])).toBe(1)
    expect(main(root, ['--release'])).toBe(1)
    expect(console.error).toHaveBeenLastCalledWith(expect.stringContaining('INCOMPATIBLE_SCHEMA'))
  })

  it('releases what changed on the wire, once', () => {
    edit(({ fields }) => fields.push({ name: 'note', type: 'string', default: '' }))
    expect(main(root, ['--release'])).toBe(0)
    expect(main(root, ['--release'])).toBe(0)
    const released = readSchemas(root).map((event) => [event.file, event.released.length])
    expect(Object.fromEntries(released)).toMatchObject({ reward: 2, decision: 1 })
    edit(({ fields }) => fields.pop())
    expect(main(root, ['--check'])).toBe(1) // readable, but the generated file is not current
    expect(main(root, [])).toBe(0)
  })

  it('fails where a released event has no schema any more', () => {
    mkdirSync(join(root, 'released', 'gone'))
    expect(main(root, ['--check'])).toBe(1)
  })
})

describe('generated types', () => {
  it('are readonly, documented, and put null last', () => {
    const source = typesOf([
      record(
        { name: 'tags', type: { type: 'map', values: ['null', 'string'] } },
        { name: 'rows', type: ['null', { type: 'array', items: ['int', 'string'] }] },
        { name: 'raw', type: 'bytes', doc: 'As received.' } as Field,
      ),
    ])
    expect(source).toContain('readonly tags: Readonly<Record<string, string | null>>')
    expect(source).toContain('readonly rows: readonly (number | string)[] | null')
    expect(source).toContain('/** As received. */\n  readonly raw: Buffer')
  })

  it('refuse one name with two meanings', () => {
    const inner = (...symbols: string[]): Field => ({
      name: 'k',
      type: { type: 'enum', name: 'Kind', symbols },
    })
    expect(() => typesOf([record(inner('a')), { ...record(inner('b')), name: 'Other' }])).toThrow(/Kind/)
  })
})

describe('the catalogue', () => {
  it('says of topics and keys what the schemas say', () => {
    for (const [event, { current }] of Object.entries(SCHEMAS)) {
      const { doc } = JSON.parse(current)
      const [, topic] = /Topic `([a-z-]+)`/.exec(doc)!
      expect(TOPICS[event as keyof typeof TOPICS]).toBe(topic)
    }
  })

  it('is told to people whole', () => {
    const page = readFileSync(join(SCHEMAS_FOLDER, '..', 'docs', 'events.md'), 'utf8')
    for (const [event, { current }] of Object.entries(SCHEMAS)) {
      const section = page.split(`### ${event}\n`)[1]?.split('\n##')[0]
      for (const { name } of JSON.parse(current).fields) expect(section).toContain(`| \`${name}\` |`)
      expect(page).toContain(`| \`${TOPICS[event as keyof typeof TOPICS]}\``)
    }
  })

  it('makes keys of what identifies an event', () => {
    expect(KEYS.snapshot({ policy: 'p', slot: 2 } as never)).toBe('p/2')
  })
})
