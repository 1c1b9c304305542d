/** `millrace replay` as its users run it: what it refuses before it connects, and what it says over a real Kafka. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readPolicyFile } from '../../../pipelines/replay/policy-file.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { POLICIES, Stage } from '../harness.ts'
import { BEGINNING, STEP_MS, writeLog } from '../replay-log.ts'
import { useCommandLine } from './millrace.ts'

const millrace = useCommandLine()

const policyYaml = (lambda: number, alpha = 0.25): string =>
  [
    'name: dense',
    `algorithm: { kind: linUcb, variant: disjoint, alpha: ${alpha}, lambda: ${lambda} }`,
    'features: { dense: 3, bias: true }',
    'explorationFloor: 0.05',
  ].join('\n')

const entry = (yaml: string): string => `  - ${yaml.replaceAll('\n', '\n    ')}`

describe('millrace replay', () => {
  it('refuses nonsense with a code, before it connects', async () => {
    millrace.write('memory.yaml', 'kafka: { adapter: memory }')
    millrace.write('broken.yaml', 'name: dense\nalgorithm: { kind: linUcb, alfa: 1 }\nfeatures: { dense: 3 }')
    const cases: [string[], string][] = [
      [['--from', 'yesterday'], '--from: "yesterday" is none of'],
      [['--to', '2026-01-31T12:00'], '--to: "2026-01-31T12:00" is none of'],
      [['--policy', 'nowhere.yaml'], '--policy: cannot read nowhere.yaml: there is no such file'],
      [['--policy', 'broken.yaml'], 'policies[0].algorithm.alfa: unknown key: did you mean "alpha"?'],
      [['--config', 'memory.yaml'], 'kafka.adapter: memory'],
    ]
    await Promise.all(
      cases.map(async ([args, message]) => {
        const { code, stderr, stdout } = await millrace.run('replay', ...args)
        expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: '' })
        expect(stderr).toMatch(/^INVALID_CONFIG: /)
        expect(stderr).toContain(message)
      }),
    )
  })

  it('reads another policy from an entry, or from a whole configuration', () => {
    millrace.write('entry.yaml', policyYaml(5))
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the file's own notation, for what is not looked at.
    const whole = ['clickhouse: { password: "${NOT_SET}" }', 'policies:', entry(policyYaml(5))].join('\n')
    millrace.write('whole.yaml', whole)
    const [one, all] = ['entry.yaml', 'whole.yaml'].map((name) =>
      readPolicyFile(`${millrace.folder}/${name}`, {}),
    )
    expect(one).toMatchObject([{ name: 'dense', definition: { algorithm: { lambda: 5 } } }])
    expect(all).toEqual(one)
  })
})

describe.skipIf(kafkaMissing !== '')('millrace replay over a real Kafka', () => {
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
        'policies:',
        entry(policyYaml(1)),
      ].join('\n'),
    )
    await writeLog(stage, COUNT)
  })
  afterAll(async () => {
    await stage?.close()
    await releaseKafka()
  })

  it('says that the same policy is equal, with its state’s hash', async () => {
    const { code, stdout } = await millrace.run('replay')
    expect(code).toBe(0)
    expect(stdout).toMatch(
      new RegExp(
        `^dense: equal: 0 snapshots, ${COUNT} decisions; state sha256 [0-9a-f]{64}, learned ${COUNT}$`,
        'm',
      ),
    )
    const from = new Date(BEGINNING + 100 * STEP_MS).toISOString()
    const part = await millrace.run('replay', '--from', from, '--json')
    expect(JSON.parse(part.stdout)).toMatchObject({
      policy: 'dense',
      equal: true,
      ranges: [{ from: 100, to: COUNT }],
      decisions: { equal: 200, different: 0, unchecked: {} },
    })
  })

  it('evaluates another policy', async () => {
    millrace.write('other.yaml', policyYaml(5, 0.5))
    const { code, stdout } = await millrace.run('replay', '--policy', 'other.yaml')
    expect(code).toBe(0)
    expect(stdout).toContain(`dense: ${COUNT} outcomes\ndense: ${COUNT} steps evaluated\n`)
    for (const name of ['logged mean', 'IPS', 'SNIPS', 'clipped IPS \\(at 10\\)', 'DM', 'DR', 'SNDR'])
      expect(stdout).toMatch(
        new RegExp(`^dense: ${name} +(-?[\\d.]+ +){2}-?[\\d.]+ to -?[\\d.]+ +-?[\\d.]+ to -?[\\d.]+$`, 'm'),
      )
    expect(stdout).toMatch(
      /^dense: effective sample size [\d.]+ of 300 \([\d.]+ by the logged probabilities\), largest weight [\d.]+, mean weight /m,
    )
    expect(stdout).toMatch(/^dense: (verdict: |no verdict)/m)
  })

  it('ends with exit code 1 where the log was tampered with', async () => {
    await writeLog(stage, 60, (outcome) => ({ ...outcome, propensity: outcome.propensity / 2 }))
    const { code, stdout } = await millrace.run('replay', '--from', String(COUNT))
    expect(code).toBe(1)
    expect(stdout).toMatch(/^dense: differs: decision "r-/m)
    expect(stdout).toMatch(/^dense: DIFFERENT: 0 of 0 snapshots, \d+ of 60 decisions; state sha256 /m)
  })
})
