/** Logs in files: how lines and rows are read, what is refused, and that the figures are those of the reference. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import type { PolicyConfig } from '../../../infra/config/policy.ts'
import { interval } from '../../../operators/bandits/index.ts'
import { recordOf } from '../../../pipelines/evaluate/logged-record.ts'
import { openBandit, policyOfLog } from '../../../pipelines/evaluate/open-bandit.ts'
import { linesOf } from '../../../pipelines/evaluate/text-file.ts'
import { evaluateFile, evaluatePolicyOfLog, formatOf } from '../../../pipelines/evaluate.ts'
import { codeOf } from '../../../schemas/errors.ts'
import { goldenPath } from '../../golden.ts'
import { goldenLines } from './golden-lines.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-evaluate-'))
afterAll(() => rmSync(folder, { recursive: true }))

const write = (name: string, content: string | Uint8Array): string => {
  const file = join(folder, name)
  writeFileSync(file, content)
  return file
}

const failure = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return codeOf(error, 'MALFORMED_AVRO')
}

const LINUCB: PolicyConfig = {
  name: 'p',
  definition: {
    algorithm: { kind: 'linUcb', variant: 'disjoint', alpha: 0.5, lambda: 1 },
    features: { context: { names: ['x'] }, bias: true },
    explorationFloor: 0.1,
  },
}

describe('a text file', () => {
  it('gives its lines, plain or gzipped, whatever ends them, across blocks', async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `${i} ${'ü'.repeat(i % 50)}`)
    const text = `${lines.slice(0, 2_500).join('\n')}\n\n${lines.slice(2_500).join('\r\n')}`
    for (const file of [write('plain.txt', text), write('packed.txt.gz', gzipSync(text))]) {
      const found: string[] = []
      let [passed, total] = [0, 0]
      for await (const block of linesOf(file)) {
        found.push(...block.lines)
        expect(block.passed).toBeGreaterThanOrEqual(passed)
        passed = block.passed
        total = block.total
      }
      expect(found).toEqual(lines)
      expect(passed).toBe(total)
    }
  })

  it('that is not there, or cut short, is refused', async () => {
    const read = async (file: string) => {
      for await (const _ of linesOf(file));
    }
    const packed = gzipSync('a\n'.repeat(10_000))
    expect(await failure(read(join(folder, 'nowhere.txt')))).toBe('INVALID_CONFIG')
    expect(await failure(read(write('cut.gz', packed.subarray(0, packed.length - 20))))).toBe(
      'INVALID_CONFIG',
    )
  })
})

describe('a line of JSON', () => {
  const sound = {
    requestId: 'r',
    context: { x: 1 },
    arms: ['a', { id: 'b', features: [1] }],
    action: 'b',
    propensity: 0.5,
    probabilities: [0.5, 0.5],
    reward: 2,
    target: [0.1, 0.9],
  }

  it('is a request and what became of it', () => {
    expect(recordOf(JSON.stringify(sound), 'row-1')).toEqual({
      request: {
        requestId: 'r',
        context: { x: 1 },
        arms: [
          { id: 'a', features: null },
          { id: 'b', features: [1] },
        ],
      },
      logged: { arms: ['a', 'b'], arm: 'b', propensity: 0.5, reward: 2, probabilities: [0.5, 0.5] },
      target: [0.1, 0.9],
      predictions: null,
    })
    const { requestId: _, probabilities: __, target: ___, context: ____, ...least } = sound
    const { request, logged, target } = recordOf(JSON.stringify(least), 'row-1')
    expect(request).toMatchObject({ requestId: 'row-1', context: null })
    expect([logged.probabilities, target]).toEqual([null, null])
  })

  it.each<[string, unknown]>([
    ['MALFORMED_JSON', '{"arms": '],
    ['INVALID_EVENT', '[]'],
    ['INVALID_EVENT', { ...sound, arms: 'a' }],
    ['INVALID_EVENT', { ...sound, arms: [1] }],
    ['INVALID_EVENT', { ...sound, action: 1 }],
    ['INVALID_EVENT', { ...sound, reward: '1' }],
    ['INVALID_EVENT', { ...sound, context: { x: 'y' } }],
    ['INVALID_EVENT', { ...sound, context: 3 }],
    ['INVALID_EVENT', { ...sound, target: [1] }],
    ['INVALID_EVENT', { ...sound, probabilities: ['1'] }],
    ['INVALID_EVENT', { ...sound, requestId: 7 }],
    ['INVALID_PROPENSITY', { ...sound, propensity: undefined }],
    ['INVALID_PROPENSITY', { ...sound, propensity: null }],
  ])('is refused with %s: %j', async (code, line) => {
    const text = typeof line === 'string' ? line : JSON.stringify(line)
    expect(await failure((async () => recordOf(text, 'row-1'))())).toBe(code)
  })
})

describe('a file of JSON lines', () => {
  it('with targets and predictions has the estimates of the reference', async () => {
    const expected = JSON.parse(readFileSync(`${goldenPath('ope')}/estimates.json`, 'utf8'))
    const file = write('golden.jsonl.gz', gzipSync(goldenLines()))
    const report = await evaluateFile(file, null, { clip: 5, switchAt: 5 })
    const close = (found: number, wanted: number) => expect(Math.abs(found - wanted)).toBeLessThan(1e-10)
    for (const [found, wanted] of [
      [report.logged, expected.onPolicyMean],
      [report.ips, expected.IPS],
      [report.snips, expected.SNIPS],
      [report.clippedIps, expected.clippedIPS],
      [report.dm, expected.DM],
      [report.dr, expected.DR],
      [report.switchDr, expected.switchDR],
    ] as const) {
      close(found.value, wanted.estimate)
      for (const end of [0, 1] as const) close(interval(found)[end], wanted.ci95[end])
    }
    expect(report).toMatchObject({ steps: 2_000, support: { unknown: 2_000 } })
    expect(report.refused.size).toBe(0)
  })

  it('counts what cannot be used by code, and uses the rest', async () => {
    const step = { arms: ['a', 'b'], action: 'a', propensity: 0.5, reward: 1, target: [0.5, 0.5] }
    const lines = [
      step,
      { ...step, propensity: 0 },
      { ...step, propensity: 1.2 },
      { ...step, propensity: undefined },
      { ...step, probabilities: [0.5, 0.501] },
      { ...step, probabilities: [0.5, 0.5] },
      { ...step, action: 'z' },
      { ...step, target: undefined },
    ].map((line) => JSON.stringify(line))
    const report = await evaluateFile(write('faulty.jsonl', [...lines, 'nonsense'].join('\n')), null)
    expect(report.steps).toBe(2)
    expect(Object.fromEntries(report.refused)).toEqual({
      INVALID_PROPENSITY: 4,
      UNKNOWN_ARM: 1,
      INVALID_EVENT: 1,
      MALFORMED_JSON: 1,
    })
  })

  it('evaluates a policy of its own that learns as it reads', async () => {
    const lines = Array.from({ length: 3_000 }, (_, i) => {
      const x = i % 2 === 0 ? 1 : -1
      const action = 'abc'[Math.floor(i / 2) % 3]!
      const reward = (action === 'a' && x > 0) || (action === 'b' && x < 0) ? 1 : 0
      const probabilities = [1 / 3, 1 / 3, 1 / 3]
      return JSON.stringify({
        context: { x },
        arms: ['a', 'b', 'c'],
        action,
        propensity: 1 / 3,
        probabilities,
        reward,
      })
    })
    let last = [0, 0]
    const file = write('learn.jsonl', lines.join('\n'))
    const report = await evaluateFile(file, LINUCB, {}, (...passed) => {
      last = passed
    })
    expect(last[0]).toBe(last[1])
    expect(report.logged.value).toBeCloseTo(1 / 3, 12)
    for (const { value } of [report.ips, report.snips, report.dr, report.sndr])
      expect(Math.abs(value - (0.9 + 0.1 / 3))).toBeLessThan(0.03)
    expect(report.dr.standardError).toBeLessThan(report.ips.standardError)
    expect(report.support).toMatchObject({ missing: 0, unknown: 0 })
  })
})

const ITEMS = ',item_id,item_feature_0,item_feature_1\n0,0,-0.5,red\n1,1,0.25,blue\n'
const HEADER =
  ',timestamp,item_id,position,click,propensity_score,user_feature_0,user-item_affinity_0,user-item_affinity_1'

describe('an Open Bandit file', () => {
  it('is known by its columns, with items and their features from beside it', async () => {
    write('item_context.csv', ITEMS)
    const { items, record } = await openBandit(write('log.csv', `${HEADER}\n`))
    expect(items).toEqual(['0', '1'])
    expect(record('0,2019-11-24 00:00:00+00:00,1,2,1,0.25,u1,0.0,3.0', 'row-0')).toEqual({
      request: {
        requestId: 'row-0',
        context: { 'position=2': 1, 'user_feature_0=u1': 1 },
        arms: [
          { id: '0', features: { item_feature_0: -0.5, 'item_feature_1=red': 1 } },
          { id: '1', features: { item_feature_0: 0.25, 'item_feature_1=blue': 1, affinity: 3 } },
        ],
      },
      logged: { arms: ['0', '1'], arm: '1', propensity: 0.25, probabilities: null, reward: 1 },
      target: null,
      predictions: null,
      position: '2',
    })
    expect(await failure(openBandit(write('other.csv', 'a,b\n1,2\n')))).toBe('INVALID_CONFIG')
    expect(await failure(openBandit(write('empty.csv', '')))).toBe('INVALID_CONFIG')
  })

  it('says of the policy that wrote it how often it took what where, and what it earned', async () => {
    const rows = [
      '0,t,0,1,1,0.5,u,0,0',
      '1,t,1,1,0,0.5,u,0,0',
      '2,t,1,1,0,0.5,u,0,0',
      '3,t,1,2,1,0.5,u,0,0',
      '4,t,1,2,1,,u,0,0',
      '5,t,1,2,1,0,u,0,0',
      '6,t,9,2,1,0.5,u,0,0',
    ]
    const own = await policyOfLog(write('own.csv', [HEADER, ...rows].join('\n')))
    expect(own).toMatchObject({ positions: ['1', '2'], rows: 4, refused: 3, mean: { value: 0.5 } })
    expect([...own.probabilities('1')!]).toEqual([1 / 3, 2 / 3])
    expect([...own.probabilities('2')!]).toEqual([0, 1])
    expect(own.probabilities('3')).toBeUndefined()
  })

  it('is evaluated for that policy, at the positions both have', async () => {
    const row = (item: number, position: number, click: number) =>
      `0,t,${item},${position},${click},0.5,u,0,0`
    const log = write(
      'uniform.csv',
      [HEADER, row(0, 1, 1), row(1, 1, 0), row(0, 2, 0), row(1, 3, 0)].join('\n'),
    )
    const other = write('greedy.csv', [HEADER, row(0, 1, 1), row(1, 2, 1)].join('\n'))
    const { report } = await evaluatePolicyOfLog(log, other)
    expect(report.steps).toBe(3)
    expect(Object.fromEntries(report.refused)).toEqual({ NO_SUPPORT: 1 })
    expect(report.ips.value).toBeCloseTo(2 / 3, 12)
    expect(report.snips.value).toBeCloseTo(1, 12)
    expect(await failure(evaluatePolicyOfLog(log, 'own.jsonl'))).toBe('INVALID_CONFIG')
  })
})

it('the format of a file is told by its name', () => {
  expect(['a.jsonl', 'b.NDJSON.gz', 'c.json'].map(formatOf)).toEqual(Array(3).fill('json-lines'))
  expect(['a.csv', 'b.csv.gz'].map(formatOf)).toEqual(Array(2).fill('open-bandit'))
  expect(() => formatOf('kafka')).toThrow('none of: topics, clickhouse')
})
