/** `millrace evaluate` as its users run it: on files, and over a real Kafka. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeWithClickHouse, useClickHouse } from '../../clickhouse-server.ts'
import { goldenPath } from '../../golden.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { goldenLines } from '../evaluate/golden-lines.ts'
import { POLICIES, Stage } from '../harness.ts'
import { writeLog } from '../replay-log.ts'
import { useCommandLine } from './millrace.ts'

const millrace = useCommandLine()

const policyYaml = (lambda: number, floor = 0.05): string =>
  [
    'name: dense',
    `algorithm: { kind: linUcb, variant: disjoint, alpha: 0.25, lambda: ${lambda} }`,
    'features: { dense: 3, bias: true }',
    `explorationFloor: ${floor}`,
  ].join('\n')

/** Two arms, the second better; the logging policy takes them with these probabilities. */
const logOf = (count: number, probabilities: readonly [number, number]): string =>
  Array.from({ length: count }, (_, i) => {
    const a = i / count < probabilities[0] ? 0 : 1
    const step = { context: [0, 0, 1], arms: ['a', 'b'], action: 'ab'[a], propensity: probabilities[a] }
    return JSON.stringify({ ...step, probabilities, reward: a === 1 ? 1 : 0, target: [0.1, 0.9] })
  }).join('\n')

describe('millrace evaluate', () => {
  it('gives the reference’s estimates on a file, as a table and as JSON', async () => {
    const expected = JSON.parse(readFileSync(`${goldenPath('ope')}/estimates.json`, 'utf8'))
    millrace.write('golden.jsonl', goldenLines())
    const args = ['--log', 'golden.jsonl', '--clip', '5', '--switch-at', '5']
    const [lines, json] = await Promise.all([
      millrace.run('evaluate', ...args),
      millrace.run('evaluate', ...args, '--json'),
    ])
    expect([lines.code, json.code, lines.stderr, json.stderr]).toEqual([0, 0, '', ''])
    const { report } = JSON.parse(json.stdout)
    expect(report.dr.value).toBeCloseTo(expected.DR.estimate, 10)
    expect(report.dr.interval[0]).toBeCloseTo(expected.DR.ci95[0], 10)
    expect(report.sndr.value).toBeCloseTo(expected.SNDR, 10)
    expect(report.effectiveSampleSize).toBeCloseTo(expected.effectiveSampleSize, 8)
    expect(report.verdict).toMatchObject({ is: 'better' })
    expect(lines.stdout).toMatch(/^target: logged mean +0.6 +0.011 +0.5785 to 0.6215 /m)
    expect(lines.stdout).toMatch(/^target: DR +0.695357 +0.0147 +0.6665 to 0.7242 /m)
    expect(lines.stdout).toMatch(/^target: clipped IPS \(at 5\) +0.685595 /m)
    expect(lines.stdout).toContain(
      'effective sample size 754.2 of 2000, largest weight 22.12, mean weight 1.03 ± ',
    )
    expect(lines.stdout).toContain('support is not known for 2000 steps')
    expect(lines.stdout.trimEnd().split('\n').at(-1)).toMatch(
      /^target: verdict: better than the logged policy \(\+0\.101/,
    )
  })

  it('gives no verdict with NO_SUPPORT, or from too few steps', async () => {
    millrace.write('even.jsonl', logOf(300, [0.5, 0.5]))
    millrace.write('greedy.jsonl', logOf(150, [1, 0]))
    millrace.write('few.jsonl', logOf(40, [0.5, 0.5]))
    const [even, greedy, few] = await Promise.all(
      ['even', 'greedy', 'few'].map((name) => millrace.run('evaluate', '--log', `${name}.jsonl`)),
    )
    expect(even).toMatchObject({ code: 0, stderr: '' })
    expect(even!.stdout).toContain('target: verdict: better than the logged policy (+0.4 a decision')
    expect(greedy).toMatchObject({ code: 1 })
    expect(greedy!.stdout).toContain(
      "target: no verdict: NO_SUPPORT: 90% of the target's probability lies on arms",
    )
    expect(greedy!.stderr).toMatch(/^NO_SUPPORT: target: 90% of/)
    expect(few).toMatchObject({ code: 0, stderr: '' })
    expect(few!.stdout).toMatch(/^target: no verdict: the effective sample size is \d+\.\d, below 100$/m)
  })

  it('counts what it refuses, and evaluates a policy that learns', async () => {
    const lines = logOf(400, [0.5, 0.5]).split('\n')
    const faulty = lines
      .slice(0, 3)
      .map((line, i) => line.replace('"propensity":0.5', ['"propensity":0', '"propensity":1.2', '"p":1'][i]!))
    millrace.write('faulty.jsonl', [...lines, ...faulty, '{'].join('\n'))
    millrace.write('dense.yaml', policyYaml(1))
    const { code, stdout } = await millrace.run('evaluate', '--log', 'faulty.jsonl', '--policy', 'dense.yaml')
    expect(code).toBe(0)
    expect(stdout).toContain('dense: 400 steps evaluated, refused: INVALID_PROPENSITY 3, MALFORMED_JSON 1')
    expect(stdout).toMatch(/^dense: SNDR +[\d.]+ /m)
  })

  it('refuses nonsense with a code, before it connects', async () => {
    millrace.write('one.jsonl', logOf(1, [0.5, 0.5]))
    millrace.write('one.csv', 'a,b\n1,2')
    millrace.write('good.yaml', policyYaml(1))
    millrace.write('memory.yaml', 'kafka: { adapter: memory }')
    const cases: [string[], string][] = [
      [[], '--policy: a policy is needed with --log topics'],
      [['--log', 'clickhouse'], '--policy: a policy is needed with --log clickhouse'],
      [['--log', 'clickhouse', '--policy', 'good.yaml'], 'clickhouse.url names no server'],
      [
        ['--log', 'clickhouse', '--policy', 'good.yaml', '--from', '7'],
        '--from: with --log clickhouse ends are times',
      ],
      [['--log', 'kafka', '--policy', 'good.yaml'], '--log: "kafka" is none of'],
      [['--log', 'nowhere.jsonl'], 'cannot read nowhere.jsonl: there is no such file'],
      [['--log', 'one.csv', '--policy', 'good.yaml'], 'so it is no Open Bandit log'],
      [['--log', 'one.jsonl', '--policy-log', 'one.csv'], 'both logs are Open Bandit files'],
      [['--log', 'one.jsonl', '--from', 'beginning'], 'a file is evaluated whole'],
      [
        ['--log', 'one.jsonl', '--policy', 'good.yaml', '--policy-name', 'other'],
        'it defines "dense", and not "other"',
      ],
      [['--policy', 'good.yaml', '--config', 'memory.yaml'], 'kafka.adapter: memory'],
      [['--policy', 'good.yaml', '--from', 'yesterday'], '--from: "yesterday" is none of'],
    ]
    for (let at = 0; at < cases.length; at += 4)
      await Promise.all(
        cases.slice(at, at + 4).map(async ([args, message]) => {
          const { code, stderr, stdout } = await millrace.run('evaluate', ...args)
          expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: '' })
          expect(stderr).toMatch(/^INVALID_CONFIG: /)
          expect(stderr).toContain(message)
        }),
      )
  })
})

describeWithClickHouse('millrace evaluate over ClickHouse', () => {
  const clickhouse = useClickHouse()

  it('evaluates what was recorded, by the configured definition of the logged policy', async () => {
    const overrides = { policies: [POLICIES[0]], 'clickhouse.retentionDays': 10_000 }
    const stage = await Stage.open('memory', '', { clickhouse, overrides })
    try {
      await writeLog(stage, 120)
      const recording = stage.start(['record'])
      const ch = await stage.runtime.clickhouse()
      await stage.until('rows', async () => {
        const [row] = await ch
          .query<{ n: number }>('SELECT toInt32(count()) AS n FROM outcomes')
          .catch(() => [])
        return row?.n === 120
      })
      await recording.stop()
      const { url, username = 'default', password = '' } = await clickhouse.options()
      millrace.write(
        'recorded.yaml',
        JSON.stringify({
          clickhouse: { url, username, password, database: ch.database },
          policies: [{ ...POLICIES[0] }],
        }),
      )
      millrace.write('same.yaml', policyYaml(1))
      const args = ['evaluate', '--config', 'recorded.yaml', '--log', 'clickhouse', '--policy', 'same.yaml']
      const [lines, json] = await Promise.all([millrace.run(...args), millrace.run(...args, '--json')])
      expect([lines.code, json.code]).toEqual([0, 0])
      expect(lines.stdout).toContain(
        `over the outcomes recorded in ${ch.database}\ndense: 120 steps evaluated\n`,
      )
      expect(JSON.parse(json.stdout)).toMatchObject({
        log: 'clickhouse',
        policy: 'dense',
        report: { steps: 120, refused: {} },
      })
    } finally {
      await stage.close()
    }
  })
})

describe.skipIf(kafkaMissing !== '')('millrace evaluate over a real Kafka', () => {
  const COUNT = 300
  let stage: Stage
  beforeAll(async () => {
    const { bootstrap } = await acquireKafka()
    stage = await Stage.open('kafka', bootstrap, { overrides: { policies: [POLICIES[0]] } })
    millrace.write(
      'millrace.yaml',
      [
        `app: ${stage.config.app}`,
        `kafka: { brokers: ['${bootstrap}'] }`,
        `topics: { prefix: '${stage.config.topics.prefix}', partitions: 4 }`,
      ].join('\n'),
    )
    await writeLog(stage, COUNT)
  })
  afterAll(async () => {
    await stage?.close()
    await releaseKafka()
  })

  it('says just what replay --policy says', async () => {
    millrace.write('other.yaml', policyYaml(5, 0.2))
    const evaluated = await millrace.run('evaluate', '--log', 'topics', '--policy', 'other.yaml')
    expect(evaluated.code).toBe(0)
    expect(evaluated.stdout).toContain(`dense: ${COUNT} outcomes\ndense: ${COUNT} steps evaluated\n`)
    expect(evaluated.stdout).toMatch(/^dense: (verdict: |no verdict)/m)
    const replayed = await millrace.run('replay', '--policy', 'other.yaml')
    expect(replayed.stdout).toBe(evaluated.stdout)
  })

  it('gives JSON, for a range', async () => {
    const { code, stdout } = await millrace.run(
      ...['evaluate', '--policy', 'other.yaml', '--policy-name', 'dense', '--from', '100', '--json'],
    )
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      log: 'topics',
      policy: 'dense',
      outcomes: 200,
      ranges: [{ from: 100, to: COUNT }],
      report: { steps: 200, support: { missing: 0 }, refused: {}, unlearned: {} },
    })
  })
})
