// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the notation of the configuration looks like a template.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import {
  clickhouseConnection,
  kafkaConnection,
  registryConnection,
} from '../../../infra/config/connections.ts'
import { VARIABLES } from '../../../infra/config/environment.ts'
import { type LoadOptions, loadConfig, redactedConfig } from '../../../infra/config/load.ts'
import { MillraceError } from '../../../schemas/errors.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
const write = (text: string, name = `${++files}.yaml`): string => {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

const load = (yaml: string, options: Partial<LoadOptions> = {}) =>
  loadConfig({ file: write(yaml), env: {}, ...options })

/** The message of the INVALID_CONFIG that a configuration gives. */
const refusal = (yaml: string, options: Partial<LoadOptions> = {}): string => {
  try {
    load(yaml, options)
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError)
    expect((error as MillraceError).code).toBe('INVALID_CONFIG')
    return (error as MillraceError).message
  }
  throw new Error('was accepted')
}

describe('defaults', () => {
  it('come without a file', () => {
    const config = loadConfig({ env: {} })
    expect(config.app).toBe('millrace')
    expect(config.kafka).toMatchObject({ adapter: 'kafkajs', brokers: ['127.0.0.1:9092'], patience: 30_000 })
    expect(config.join).toEqual({
      window: 1_800_000,
      grace: 60_000,
      defaultReward: 0,
      idleTimeout: 10_000,
      maxFutureSkew: 300_000,
      rewards: 'first',
      activation: 'immediate',
      dedupHorizon: 3_600_000,
    })
    expect(config.limits).toEqual({ messageBytes: 2 ** 20, arms: 10_000 })
    expect(config.clickhouse.url).toBeUndefined()
  })

  it('of the horizon follow the window', () => {
    expect(load('join: {window: 7s}').join.dedupHorizon).toBe(14_000)
    expect(load('join: {window: 7s, dedupHorizon: 0}').join.dedupHorizon).toBe(0)
  })

  it('stay beside the keys that are given', () => {
    expect(load('record: {maxRows: 7}').record).toEqual({ maxRows: 7, maxWait: 1_000 })
  })

  it('come from an empty file too', () => {
    expect(load('# nothing\n')).toMatchObject({ app: 'millrace' })
  })
})

describe('durations and sizes', () => {
  it.each([
    ['250ms', 250],
    ['10s', 10_000],
    ['1.5m', 90_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['0', 0],
  ])('%s is %d milliseconds', (text, milliseconds) => {
    expect(load(`join: {grace: ${text}}`).join.grace).toBe(milliseconds)
  })

  it.each(['30', '1.5ms', '-1s', '5 s', '1w', '400d', 'true', '[1s]', '', '1e3s', '99999999999999999d'])(
    '%j is no duration',
    (text) => {
      expect(refusal(`join: {grace: ${text}}`)).toContain('join.grace: ')
    },
  )

  it.each([
    ['2048B', 2_048],
    ['512KiB', 524_288],
    ['1.5MiB', 1_572_864],
  ])('%s is %d bytes', (text, bytes) => {
    expect(load(`limits: {messageBytes: ${text}}`).limits.messageBytes).toBe(bytes)
  })

  it.each(['1MB', '1024', '10B', '9GiB'])('%s is no message size', (text) => {
    expect(refusal(`limits: {messageBytes: ${text}}`)).toContain('limits.messageBytes: ')
  })
})

describe('what is wrong', () => {
  it('is said all at once, with path, value and line', () => {
    const message = refusal(`
kafka:
  brokers: [localhost]
  patience: 30
policies:
  - name: a
    algorithm: {kind: linUcb, alpha: -1, lambda: 0}
    features: {dense: 3, names: [x]}
    explorationFloor: .nan
  - name: a
    algorithm: {kind: linUbc}
    features: {}
http: {port: 70000}
sinks: [{topic: t, event: decisions, format: avro, fields: {}}]
`)
    expect(message).toMatch(/^12 problems with the configuration in .*\.yaml:\n/)
    for (const line of [
      'kafka.brokers[0]: must be host:port (got "localhost"), line 3',
      'kafka.patience: must be a duration such as 250ms, 10s, 30m, 1h or 7d, with its unit (got 30), line 4',
      'policies: must not repeat a name: a (got a list of 2), line 5',
      'policies[0].algorithm.alpha: must be at least 0 (got -1), line 7',
      'policies[0].algorithm.lambda: must be above 0 (got 0), line 7',
      'policies[0].features: must have exactly one of dense, names and hash, or context and arm (one of them or both) that do (got a block of keys), line 8',
      'policies[0].explorationFloor: must be a finite number (got NaN), line 9',
      'policies[1].algorithm.kind: must be one of linUcb, linTs, epsilonGreedy, squareCb, ucbGlm, restarting, confidenceWeighted, uniform, syndicated, robust, rewardGuard; did you mean "linUcb"? (got "linUbc"), line 11',
      'policies[1].features: must have exactly one',
      'http.port: must be at most 65535 (got 70000), line 13',
      'sinks[0].event: must be one of decision, outcome, outcome-correction; did you mean "decision"? (got "decisions"), line 14',
      'sinks[0]: needs `schema`',
    ])
      expect(message).toContain(line)
  })

  it.each([
    ['kafak: {}', 'kafak: unknown key: did you mean "kafka"?'],
    ['kafka: {broker: [a:1]}', 'kafka.broker: unknown key: did you mean "brokers"?'],
    ['kafka: {client_id: x}', 'kafka.client_id: unknown key: did you mean "clientId"?'],
    ['kafka: {sasl: {mechanism: plain, username: u, password: p, pass: q}}', 'kafka.sasl.pass: unknown key'],
    ['kafka: {sasl: {mechanism: oauthbearer, token: t, username: u}}', 'known: mechanism, token'],
    [
      'policies: [{name: a, algorithm: {kind: linUcb, lamda: 1}, features: {dense: 2}}]',
      'policies[0].algorithm.lamda: unknown key: did you mean "lambda"?',
    ],
    [
      'policies: [{name: a, algorithm: {kind: linUcb}, features: {arm: {hash: {bits: 3, sead: 1}}}}]',
      'policies[0].features.arm.hash.sead: unknown key: did you mean "seed"?',
    ],
    ['completely: different', 'completely: unknown key: known: app, topics'],
  ])('in %s is an unknown key, with the nearest known one', (yaml, line) => {
    expect(refusal(yaml)).toContain(line)
  })

  it.each([
    ['http: {port: .inf}', 'http.port: must be a finite number'],
    ['join: {defaultReward: .inf}', 'join.defaultReward: must be a finite number (got Infinity)'],
    ['topics: {partitions: 1.5}', 'topics.partitions: must be a whole number (got 1.5)'],
    ['topics: {create: yes}', 'topics.create: must be true or false (got "yes")'],
    ['topics: {prefix: "a b"}', 'topics.prefix: must hold only'],
    ['kafka: [1]', 'kafka: must be a block of keys (got a list of 1)'],
    ['kafka:', 'kafka: must be a block of keys (got null)'],
    ['kafka: {brokers: []}', 'kafka.brokers: must have at least 1 entry'],
    ['clickhouse: {url: "localhost:8123"}', 'clickhouse.url: must begin with http:// or https://'],
    ['clickhouse: {url: "host"}', 'clickhouse.url: must be a URL'],
    ['clickhouse: {tls: {cert: x}}', 'clickhouse.tls: must have cert and key together'],
    ['schemaRegistry: {}', 'schemaRegistry.url: is required'],
    [
      'sources: [{topic: t, format: confluent-avro, event: reward, fields: {}}]',
      'sources[0].format: confluent-avro needs schemaRegistry.url',
    ],
    ['- a', 'configuration: must be a block of keys'],
    ['a: 1\na: 2', 'line 2: Map keys must be unique'],
    ['a: [1', 'line 1: '],
    ['a: 1\n---\nb: 2', 'configuration: line 2'],
    ['__proto__: {polluted: 1}', '__proto__: unknown key'],
    ['constructor: 1', 'constructor: unknown key'],
  ])('in %j is said', (yaml, line) => {
    expect(refusal(yaml)).toContain(line)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  it('may be a missing file', () => {
    expect(() => loadConfig({ file: join(folder, 'none.yaml'), env: {} })).toThrow('there is no such file')
  })

  it('is INVALID_CONFIG for any text whatever', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.json(),
          fc.constantFrom('&a [*a]', '${', '? [a]: b', '!!set {a}'),
        ),
        (text) => {
          try {
            load(text)
          } catch (error) {
            expect(error).toBeInstanceOf(MillraceError)
          }
        },
      ),
      { numRuns: 100 },
    )
  })

  it('may be an expansion of aliases', () => {
    const levels = Array.from(
      { length: 9 },
      (_, i) => `l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(',')}]`,
    )
    expect(refusal(`l0: &l0 [x]\n${levels.join('\n')}`)).toContain('has more than 100000 values')
  })

  it('may be found by a further check, beside the others', () => {
    const message = refusal('http: {port: -1}\nsources: 3', {
      checks: [() => [{ path: ['sources'], message: 'is not as I like it' }]],
    })
    expect(message).toContain('http.port: must be at least 0')
    expect(message).toContain('sources: ')
  })
})

describe('interpolation', () => {
  it('fills in variables and defaults, in text, numbers and switches', () => {
    const config = load(
      'app: ${APP}\nhttp: {host: "${H:-127.0.0.1}", port: "${PORT}"}\nlog: {pretty: "${P:-true}"}\ntopics: {prefix: "${E:-}x"}',
      { env: { APP: 'mill', PORT: '0', E: '' } },
    )
    expect(config).toMatchObject({
      app: 'mill',
      http: { host: '127.0.0.1', port: 0 },
      log: { pretty: true },
      topics: { prefix: 'x' },
    })
  })

  it('names every variable that is missing', () => {
    const message = refusal('app: ${APP}\nhttp: {host: "${HOST}"}\n')
    expect(message).toContain('app: environment variable APP is not set')
    expect(message).toContain('http.host: environment variable HOST is not set')
    expect(message).toMatch(/^2 problems/)
  })

  it('keeps $${ as ${, and refuses what is half an interpolation', () => {
    expect(load('clickhouse: {username: "a$${B}"}').clickhouse.username).toBe('a${B}')
    expect(refusal('app: "${not a name}"')).toContain('app: holds "${"')
    expect(refusal('app: "${open"')).toContain('app: holds "${"')
  })

  it('does not let a variable bring structure', () => {
    expect(refusal('kafka: ${K}', { env: { K: '{brokers: [a:1]}' } })).toContain(
      'kafka: must be a block of keys',
    )
  })
})

describe('environment and command line', () => {
  it('win over the file, the command line over both', () => {
    const config = load('app: file\nhttp: {port: 1}\nkafka: {brokers: [a:1], clientId: c}', {
      env: { MILLRACE_APP: 'env', MILLRACE_HTTP_PORT: '2', MILLRACE_KAFKA_BROKERS: 'b:2, c:3' },
      overrides: { 'http.port': 3, 'http.host': undefined },
    })
    expect(config).toMatchObject({
      app: 'env',
      http: { port: 3, host: '127.0.0.1' },
      kafka: { brokers: ['b:2', 'c:3'], clientId: 'c' },
    })
  })

  it('are named in the error, not the value', () => {
    const message = refusal('app: x', {
      env: { MILLRACE_KAFKA_BROKERS: 'a:1,nonsense', MILLRACE_HTTP_PORT: '' },
    })
    expect(message).toContain('kafka.brokers[1]: must be host:port (got ${MILLRACE_KAFKA_BROKERS})')
    expect(message).not.toContain('nonsense')
  })

  it('stand for keys that exist', () => {
    for (const [variable, { key }] of Object.entries(VARIABLES))
      try {
        loadConfig({ env: { [variable]: ' ' } })
      } catch (error) {
        expect((error as Error).message, `${variable} for ${key}`).not.toContain('unknown key')
      }
  })

  it('leave a key of the wrong form to the schema', () => {
    expect(refusal('kafka: 3', { env: { MILLRACE_KAFKA_BROKERS: 'a:1' } })).toContain(
      'kafka: must be a block',
    )
  })
})

describe('secrets', () => {
  const SECRET = 'hunter2-correct-horse'

  it('come as text, from the environment or from a file, and are seen nowhere but on request', () => {
    const file = write(`${SECRET}\n`, 'secret')
    const config = load(
      `
kafka: {sasl: {mechanism: scram-sha-512, username: u, password: {env: PW}}, tls: {ca: "CA", cert: "C", key: {file: secret}}}
clickhouse: {url: "https://ch:8443", password: {file: ${file}}, tls: {ca: {file: secret}}}
schemaRegistry: {url: "http://r:8081", username: u, password: "\${PW}"}
`,
      { env: { PW: SECRET } },
    )
    expect(kafkaConnection(config)).toMatchObject({
      ssl: { ca: 'CA', cert: 'C', key: SECRET, rejectUnauthorized: true },
      sasl: { mechanism: 'scram-sha-512', username: 'u', password: SECRET },
      patienceMs: 30_000,
    })
    expect(clickhouseConnection(config)).toMatchObject({
      url: 'https://ch:8443',
      password: SECRET,
      tls: { ca: SECRET },
    })
    expect(registryConnection(config)).toMatchObject({ auth: { username: 'u', password: SECRET } })
    config.clickhouse.tls = {}
    for (const seen of [
      JSON.stringify(config),
      inspect(config, { depth: 9 }),
      JSON.stringify(redactedConfig(config)),
      `${config.clickhouse.password}`,
    ])
      expect(seen).not.toContain(SECRET)
    expect(redactedConfig(config)).toMatchObject({ clickhouse: { password: '[redacted]' } })
  })

  it('from a file are read again, so that a rotated token is taken up', async () => {
    write('first', 'token')
    const config = load('kafka: {sasl: {mechanism: oauthbearer, token: {file: token}}}')
    const sasl = kafkaConnection(config).sasl
    if (sasl?.mechanism !== 'oauthbearer') throw new Error('other mechanism')
    expect(await sasl.token()).toBe('first')
    write('second', 'token')
    expect(await sasl.token()).toBe('second')
  })

  it.each([
    [`kafka: {sasl: ${SECRET}}`],
    [`kafka: {sasl: {mechanism: ${SECRET}}}`],
    [`kafka: {sasl: {mechanism: plain, username: [${SECRET}], password: [${SECRET}]}}`],
    [`clickhouse: {pasword: ${SECRET}}`],
    [`clickhouse: {password: {value: ${SECRET}}}`],
    [`clickhouse: {password: *${SECRET}}`],
    [`clickhouse: {password: !${SECRET} x}`],
    [`clickhouse: {password: "${SECRET}" x}`],
    [`clickhouse: {password: "\\q${SECRET}"}`],
    [`clickhouse: {password: @${SECRET}}`],
    [`clickhouse: {url: "http://u:${SECRET}@host"}`],
    [`clickhouse: {url: "u:${SECRET}@host"}`],
    [`clickhouse: {url: "http://host?password=${SECRET}"}`],
    ['clickhouse: {url: "${PW}"}'],
    ['http: {port: "${PW}"}'],
    ['app: "${PW} "'],
    [`kafka: {tls: {key: [${SECRET}], cert: {x: ${SECRET}}}}`],
  ])('are in no message: %s', (yaml) => {
    expect(refusal(yaml, { env: { PW: SECRET } })).not.toContain(SECRET)
  })

  it.each([
    ['{env: NONE}', 'clickhouse.password.env: environment variable NONE is not set'],
    ['{file: none}', 'clickhouse.password.file: cannot read the file'],
    ['{env: A, file: b}', 'clickhouse.password: must be text, {env: NAME} or {file: path}'],
    ['""', 'clickhouse.password: must not be empty'],
    ['17', 'clickhouse.password: must be text'],
  ])('given as %s are refused', (given, line) => {
    expect(refusal(`clickhouse: {password: ${given}}`)).toContain(line)
  })
})

describe('policies', () => {
  it('come out as definitions, with α, λ and floor written out', () => {
    const { policies } = load(`
policies:
  - {name: a, algorithm: {kind: linUcb}, features: {dense: 3}}
  - name: b
    algorithm: {kind: linUcb, variant: shared, alpha: theory, theory: {sigma: 0.5}, lambda: 2, maxArms: 9}
    features: {context: {names: [x, y]}, arm: {hash: {bits: 4}}, interactions: true, bias: true}
    explorationFloor: 0
`)
    expect(policies).toEqual([
      {
        name: 'a',
        definition: {
          algorithm: { kind: 'linUcb', variant: 'disjoint', alpha: 0.25, lambda: 1 },
          features: { context: { dense: 3 } },
          explorationFloor: 0.01,
        },
      },
      {
        name: 'b',
        definition: {
          algorithm: {
            kind: 'linUcb',
            variant: 'shared',
            alpha: 'theory',
            theory: { sigma: 0.5 },
            lambda: 2,
            maxArms: 9,
          },
          features: {
            context: { names: ['x', 'y'] },
            arm: { hash: { bits: 4 } },
            interactions: true,
            bias: true,
          },
          explorationFloor: 0,
        },
      },
    ])
  })

  it.each([
    ['name: "a b"', 'policies[0].name: must begin'],
    ['explorationFloor: 1.1', 'policies[0].explorationFloor: must be at most 1 (got 1.1)'],
    ['explorationFloor: -0.1', 'must be at least 0 (got -0.1)'],
    ['features: {names: []}', 'features.names: must have at least 1 entry'],
    ['features: {dense: 3, arm: {dense: 2}}', 'policies[0].features: must have exactly one'],
    ['features: {dense: 0}', 'features.dense: must be at least 1'],
    ['features: {context: {dense: 2}, interactions: true}', 'interactions need both context and arm'],
    ['algorithm: {kind: linUcb, lambda: .inf}', 'algorithm.lambda: must be a finite number'],
    ['algorithm: {variant: disjoint}', 'algorithm.kind: is required: one of linUcb'],
  ])('with %s are refused', (change, line) => {
    const key = change.split(':')[0]
    const base = ['name: a', 'algorithm: {kind: linUcb}', 'features: {dense: 2}'].filter(
      (part) => !part.startsWith(`${key}:`),
    )
    expect(refusal(`policies: [{${[...base, change].join(', ')}}]`)).toContain(line)
  })
})
