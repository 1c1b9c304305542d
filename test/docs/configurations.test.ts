/** The configurations that docs/recipes.md and docker-compose.yml hold are accepted, and the sample message maps. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { parse } from 'yaml'
import { VARIABLES } from '../../infra/config/environment.ts'
import { loadConfig } from '../../infra/config/load.ts'
import type { Config } from '../../infra/config/schema.ts'
import { checkMapping, mappingProblems } from '../../operators/streams/mapping.ts'

const text = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'millrace-recipes-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
const configOf = (yaml: string, env: Readonly<Record<string, string>> = {}): Config => {
  const file = join(folder, `${++files}.yaml`)
  writeFileSync(file, yaml)
  return loadConfig({ file, env, checks: [mappingProblems] })
}

const blocksOf = (language: string) =>
  [...text('docs/recipes.md').matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, block = '']) => block,
  )

it.each(blocksOf('yaml').map((yaml, index) => [index + 1, yaml] as const))(
  'recipe %d is accepted',
  (_, yaml) => {
    configOf(yaml, { KAFKA_PASSWORD: 'p', CLICKHOUSE_PASSWORD: 'q' })
  },
)

it('the sample message of the recipes becomes a request', () => {
  const [source] = configOf(blocksOf('yaml')[0] ?? '').sources
  expect(checkMapping(source!, Buffer.from(blocksOf('json')[0] ?? ''))).toEqual({
    requestId: '7',
    policy: 'auction',
    occurredAt: 1_700_000_000_000,
    context: { visits: 3, 'country=DE': 1 },
    arms: [
      { id: 'book', features: { price: 3.5 } },
      { id: 'pen', features: { price: 1.2 } },
    ],
  })
})

it('docker-compose.yml gives millrace a configuration that is accepted, by file and variables that exist', () => {
  const compose = parse(text('docker-compose.yml')) as {
    services: { millrace: { environment: Record<string, string> } }
    configs: { millrace: { content: string } }
  }
  const { environment } = compose.services.millrace
  expect(Object.keys(environment).filter((name) => !Object.hasOwn(VARIABLES, name))).toEqual([])
  const config = configOf(compose.configs.millrace.content, environment)
  expect(config.policies.map(({ name }) => name)).toEqual(['homepage'])
  expect(config.kafka.brokers).toEqual(['kafka:19092'])
})
