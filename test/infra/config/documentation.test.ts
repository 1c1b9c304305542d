import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { misspeltVariables, VARIABLES } from '../../../infra/config/environment.ts'
import { loadConfig } from '../../../infra/config/load.ts'
import { definition } from '../../../infra/config/problem.ts'
import { configSchema } from '../../../infra/config/schema.ts'
import { compileSink, compileSource, mappingProblems } from '../../../operators/streams/mapping.ts'

const root = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))
const page = readFileSync(root('docs/configuration.md'), 'utf8')
/** Without the padding that a formatter may give its tables. */
const tables = page.replace(/ {2,}/g, ' ')
const env = { KAFKA_PASSWORD: 'p', CLICKHOUSE_PASSWORD: 'q' }

const folder = mkdtempSync(join(tmpdir(), 'millrace-documentation-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Every key of a schema that holds a value, dotted; `[]` stands for a list's entries. */
const keysOf = (schema: z.ZodType, path = ''): string[] => {
  const { type, innerType, in: input, out, element, options, shape } = definition(schema)
  if (innerType !== undefined) return keysOf(innerType, path)
  if (type === 'pipe') {
    const inner = (input as z.ZodType).def.type === 'transform' ? out : input
    return keysOf(inner as z.ZodType, path)
  }
  if (options !== undefined) return options.flatMap((option) => keysOf(option, path))
  if (element !== undefined) {
    const inner = keysOf(element, `${path}[]`)
    return inner.length === 1 && inner[0] === `${path}[]` ? [path] : inner
  }
  if (shape === undefined) return [path]
  return Object.entries(shape).flatMap(([key, inner]) => keysOf(inner, path === '' ? key : `${path}.${key}`))
}

const keys = [...new Set(keysOf(configSchema({ env: {}, folder: '.' })))]
  // The spaces of context and arm are described by the three forms.
  .filter((key) => !/features\.(context|arm)\./.test(key))
  // The base of a syndicate is described by its own kind.
  .map((key) => key.replace(/(algorithm\.base)\..*/, '$1'))

describe('docs/configuration.md', () => {
  it('describes every key, and no other', () => {
    expect(keys.length).toBeGreaterThan(60)
    expect(keys.filter((key) => !page.includes(`\`${key}\``))).toEqual([])
    const roots = Object.keys(loadConfig({ env: {} })).concat('schemaRegistry')
    const described = [...tables.matchAll(/^\|([^|]*)\|/gm)].flatMap(([, cell]) =>
      [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, key]) => key as string),
    )
    const unknown = described.filter(
      (key) =>
        roots.includes(key.split(/[.[]/)[0] as string) &&
        !keys.some((known) => known === key || known.startsWith(`${key}.`)),
    )
    expect(unknown.filter((key) => !/features\.(context|arm)$/.test(key))).toEqual([])
  })

  it('gives the defaults that hold', () => {
    const defaults = loadConfig({ env: {} }) as unknown as Record<string, unknown>
    const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, MiB: 2 ** 20 }
    let compared = 0
    for (const [, key, given] of tables.matchAll(/^\| `([\w.]+)` \| `([^`]+)` \|/gm)) {
      const value = (key as string)
        .split('.')
        .reduce<unknown>((block, step) => (block as Record<string, unknown> | undefined)?.[step], defaults)
      if (value === undefined || /directory$/i.test(key as string) || key?.startsWith('MILLRACE')) continue
      const quantity = /^(\d+)(ms|s|m|MiB)$/.exec(given as string)
      const expected =
        quantity === null ? given : String(Number(quantity[1]) * (units[quantity[2] as string] as number))
      expect(`${key} ${Array.isArray(value) ? `[${value}]` : value}`).toBe(`${key} ${expected}`)
      compared++
    }
    expect(compared).toBeGreaterThan(25)
  })

  it('names every environment variable', () => {
    for (const [variable, { key }] of Object.entries(VARIABLES))
      expect(tables).toContain(`| \`${variable}\` | \`${key}\``)
  })

  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(
    ([, yaml], index) => [index + 1, yaml as string] as const,
  )
  it.each(blocks)('holds a YAML block %d that is accepted', (index, yaml) => {
    const file = join(folder, `${index}.yaml`)
    writeFileSync(file, yaml)
    const config = loadConfig({ file, env, checks: [mappingProblems] })
    for (const source of config.sources) compileSource(source)
    for (const sink of config.sinks) compileSink(sink)
  })
})

describe('millrace.example.yaml', () => {
  it('is accepted, mappings included', () => {
    const config = loadConfig({ file: root('millrace.example.yaml'), env, checks: [mappingProblems] })
    expect(config.policies).toHaveLength(2)
    const [auctions] = config.sources.map((source) => compileSource(source))
    expect(
      auctions?.({
        auction: { id: 7 },
        ts: 1_700_000_000,
        user: { age: 40, country: 'FR' },
        candidates: [{ sku: 'a', price: 3, margin: '0.5' }],
      }),
    ).toMatchObject({
      requestId: '7',
      context: { age: 40, visits: 0, 'country=FR': 1 },
      arms: [{ id: 'a', features: { price: 3, margin: 0.5 } }],
    })
  })

  it('tells mapping problems by path and line', () => {
    const file = join(folder, 'wrong.yaml')
    writeFileSync(
      file,
      'sources:\n  - topic: t\n    event: reward\n    fields:\n      requestId: $.a\n      valeu: $.v\nsinks:\n  - {topic: t, event: decision, fields: {a: $.armm}}\n',
    )
    expect(() => loadConfig({ file, env, checks: [mappingProblems] })).toThrow(
      /sources\[0\]\.fields\.valeu: unknown field.*line 6[\s\S]*sinks\[0\]\.fields\.a: the event has no armm.*line 8/,
    )
  })
})

describe('environment variables', () => {
  it('that look misspelt are found', () => {
    expect(
      misspeltVariables({
        MILLRACE_KAFKA_BROKER: 'a:1',
        MILLRACE_SERVICE_HOST: '10.0.0.1',
        PATH: '/',
        MILLRACE_APP: 'x',
      }),
    ).toEqual([['MILLRACE_KAFKA_BROKER', 'MILLRACE_KAFKA_BROKERS']])
  })
})
