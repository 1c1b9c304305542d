/**
 * Replay: the same policy comes to the same bytes and decisions, what was tampered with differs, another policy is evaluated as by hand, and
 * nothing is ever written.
 */
import { createHash } from 'node:crypto'
import { readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { PolicyConfig } from '../../infra/config/policy.ts'
import { openModelStore } from '../../infra/models/store.ts'
import { NUMERIC_KERNEL, SNAPSHOT_FORMAT } from '../../operators/bandits/state/snapshot-format.ts'
import { crc32 } from '../../operators/numerics/crc32.ts'
import { parseBound } from '../../pipelines/replay/range.ts'
import { type PolicyReplay, type ReplayOptions, replay } from '../../pipelines/replay.ts'
import { partitionsOf, readSnapshots } from '../../pipelines/states/snapshot-log.ts'
import type { Snapshot } from '../../schemas/generated/events.ts'
import { NaiveLinUcb } from '../faults/naive-lin-ucb.ts'
import { describeOnClusters, failureCode, POLICIES, type Stage } from './harness.ts'
import { BEGINNING, STEP_MS, type WrittenLog, writeLog } from './replay-log.ts'
import { ids, playRound } from './rounds.ts'

const TIMEOUT = { timeout: 120_000 }
const [DENSE] = POLICIES
const ALONE = { overrides: { policies: [DENSE] } }
const SPLIT = { overrides: { policies: [{ ...DENSE, partitions: 3, mergeEvery: 10 }] } }
const ALL = { from: 'beginning', to: 'end' } as const
const COUNT = 300

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Replays the one policy of a stage, and sees that no topic has grown and none has come. */
const replayed = async (stage: Stage, options: Partial<ReplayOptions> = {}): Promise<PolicyReplay> => {
  const before = await ends(stage)
  const [one, ...more] = await replay(stage.runtime, { ...ALL, ...options })
  expect(more).toEqual([])
  expect(await ends(stage)).toEqual(before)
  return one!
}

/** The end of every partition of the cluster that is this stage's. */
const ends = async ({ runtime: { broker }, config }: Stage): Promise<Record<string, number[]>> => {
  const found: Record<string, number[]> = {}
  for (const { topic } of await broker.admin.describe()) {
    if (!topic.startsWith(config.topics.prefix)) continue
    found[topic] = (await broker.admin.offsets(topic)).map(({ latest }) => latest)
  }
  return found
}

const countsOf = ({ same }: PolicyReplay) => ({
  snapshots: same!.comparison.of('snapshots'),
  decisions: same!.comparison.of('decisions'),
})

const equal = (count: number) => ({ equal: count, different: 0, unchecked: {} })

/** Writes a snapshot of a state as `decide` would. */
const keep = async (stage: Stage, { table }: WrittenLog, of: Partial<Snapshot> = {}): Promise<void> => {
  const live = table.get('dense')!
  const { bytes, offsets } = table.save('dense')
  const store = await openModelStore(stage.models)
  const { uri, sha256 } = await store.put(bytes)
  const partitions = partitionsOf(live, stage.config.topics.partitions)
  const parts = offsets.map((offset, k) => ({ partition: partitions[k]!, offset }))
  await stage.publish('snapshot', [
    {
      policy: 'dense',
      slot: 0,
      policyVersion: live.version,
      policyHash: live.hash,
      uri,
      sha256,
      bytes: bytes.length,
      crc32: crc32(bytes),
      format: SNAPSHOT_FORMAT,
      kernel: NUMERIC_KERNEL,
      ...parts[0]!,
      parts: live.parts === 1 ? [] : parts,
      takenAt: stage.time,
      ...of,
    },
  ])
}

/** The stage's policy with another algorithm. */
const otherDense = ({ config }: Stage, algorithm: object, explorationFloor = 0.05): PolicyConfig => {
  const { definition } = config.policies[0]!
  return {
    name: 'dense',
    definition: { ...definition, algorithm: { ...definition.algorithm, ...algorithm }, explorationFloor },
  }
}

describeOnClusters('a replay of the same policy', (open, kind) => {
  test(
    'comes to the bytes that the jobs came to, and makes every decision again as it was',
    TIMEOUT,
    async () => {
      const stage = await open({ overrides: { 'snapshots.every': 20 } })
      const jobs = stage.start(['decide', 'attribute'])
      for (const first of [0, 40, 80]) await playRound(stage, ids(first, 40))
      await stage.until('snapshots', async () => (await readSnapshots(stage.runtime)).length >= 3)
      await jobs.stop()
      const before = await ends(stage)
      const policies = await replay(stage.runtime, ALL)
      expect(await ends(stage)).toEqual(before)
      const states = await stage.states()
      expect(policies.map(({ policy }) => policy)).toEqual(['dense', 'shared'])
      for (const each of policies) {
        const { snapshots, decisions } = countsOf(each)
        expect(decisions).toEqual(equal(each.policy === 'dense' ? 80 : 40))
        const kept = (await readSnapshots(stage.runtime)).filter(({ policy }) => policy === each.policy)
        expect(snapshots).toEqual(equal(kept.length))
        expect(each.same!.comparison.different).toBe(false)
        expect(each.same!.stateSha256).toBe(sha256(Buffer.from(states[each.policy]!, 'base64')))
      }
    },
  )

  test('holds for a policy that is split, snapshots of its parts included', TIMEOUT, async () => {
    const stage = await open(SPLIT)
    const log = await writeLog(stage, COUNT)
    await keep(stage, log)
    const one = await replayed(stage)
    expect(countsOf(one)).toEqual({ snapshots: equal(1), decisions: equal(COUNT) })
    expect(one.same!.stateSha256).toBe(sha256(log.table.save('dense').bytes))
    expect(one.ranges).toHaveLength(3)
    const half = await replayed(stage, { to: { time: BEGINNING + 150 * STEP_MS } })
    expect(half.same!.comparison.of('decisions')).toMatchObject({ equal: 150, different: 0 })
    await expect(replayed(stage, { to: { offset: 10 } })).rejects.toThrow('split in 3 parts')
  })

  test('covers just the range: times by event time, offsets as they are', TIMEOUT, async () => {
    const stage = await open(ALONE)
    await writeLog(stage, COUNT)
    const times = { from: { time: BEGINNING + 100 * STEP_MS }, to: { time: BEGINNING + 220 * STEP_MS } }
    const byTime = await replayed(stage, times)
    expect(byTime.ranges).toMatchObject([{ from: 100, to: 220 }])
    expect(countsOf(byTime).decisions).toEqual(equal(120))
    // The state is that of everything below the end.
    expect(byTime.same!.learned).toBe(220)
    const byOffset = await replayed(stage, { from: { offset: 100 }, to: { offset: 220 } })
    expect(byOffset.ranges).toEqual(byTime.ranges)
    expect(byOffset.same!.stateSha256).toBe(byTime.same!.stateSha256)
    const later = await replayed(stage, { from: { time: BEGINNING + COUNT * STEP_MS } })
    expect(countsOf(later).decisions).toEqual(equal(0))
    expect(failureCode(await replayed(stage, { to: { offset: COUNT + 1 } }).catch((error) => error))).toBe(
      'INVALID_CONFIG',
    )
  })

  test('tells which snapshot differs: in its record, or in its bytes', TIMEOUT, async () => {
    const stage = await open(ALONE)
    const log = await writeLog(stage, COUNT)
    await keep(stage, log)
    await keep(stage, log, { slot: 1, sha256: '0'.repeat(64) })
    const record = await replayed(stage)
    expect(countsOf(record).snapshots).toEqual({ equal: 1, different: 1, unchecked: {} })
    expect(record.same!.comparison.differences).toEqual([expect.stringContaining('snapshot dense/1')])
    const [file] = await readdir(stage.models)
    await truncate(join(stage.models, file!), 100)
    const bytes = await replayed(stage)
    expect(countsOf(bytes).snapshots).toEqual({ equal: 0, different: 2, unchecked: {} })
    expect(bytes.same!.comparison.differences).toContainEqual(expect.stringContaining('snapshot dense/0'))
  })

  test('tells decisions that do not follow from an outcome that was changed', TIMEOUT, async () => {
    const stage = await open(ALONE)
    // A reward is worth another ten: what was decided before stands, what was decided after may not.
    await writeLog(stage, COUNT, (outcome, i) =>
      i === 150 ? { ...outcome, reward: outcome.reward + 10 } : outcome,
    )
    const { comparison } = (await replayed(stage)).same!
    const { equal, different } = comparison.of('decisions')
    expect(different).toBeGreaterThan(0)
    expect(equal + different).toBe(COUNT)
    expect(equal).toBeGreaterThanOrEqual(150)
    expect(comparison.different).toBe(true)
    expect(comparison.differences[0]).toMatch(/decision "r-\d+" of version 1 at state \d+ .*it was "." with/)
  })

  test('tells a decision that was changed itself', TIMEOUT, async () => {
    const stage = await open(ALONE)
    await writeLog(stage, COUNT, (outcome, i) =>
      i === 299 ? { ...outcome, probabilities: outcome.probabilities.map((p) => p + 2 ** -50) } : outcome,
    )
    expect(countsOf(await replayed(stage)).decisions).toEqual({ equal: 299, different: 1, unchecked: {} })
  })

  test(
    'counts a decision whose outcome comes too long after it, and checks all others',
    TIMEOUT,
    async () => {
      const stage = await open(ALONE)
      const count = 2_500
      await writeLog(stage, count, (outcome, i) =>
        i === count - 1 ? { ...outcome, stateOffset: 0 } : outcome,
      )
      const narrow = await replayed(stage, { window: 10 })
      expect(countsOf(narrow).decisions).toEqual({
        equal: count - 1,
        different: 0,
        unchecked: { 'their outcomes come too long after them': 1 },
      })
      const wide = await replayed(stage)
      expect(countsOf(wide).decisions).toEqual({ equal: count - 1, different: 1, unchecked: {} })
    },
  )

  test.runIf(kind === 'memory')(
    'goes on from a snapshot where outcomes are gone, and counts requests that are',
    TIMEOUT,
    async () => {
      const stage = await open(ALONE)
      const first = await writeLog(stage, COUNT)
      await keep(stage, first)
      const { partition } = (await replayed(stage)).ranges[0]!
      const writer = await stage.runtime.broker.writer()
      const { codec } = stage.runtime
      // Outcomes behind the snapshot, of decisions that the log does not hold.
      await writer.send(
        first.outcomes.slice(0, 20).map((outcome) => ({
          topic: stage.topic('outcome'),
          key: Buffer.from('dense'),
          value: codec.encode('outcome', outcome),
        })),
      )
      await writer.close()
      const whole = await replayed(stage)
      stage.deleteRecords('outcome', partition, 200)
      expect(failureCode(await replayed(stage, { to: { offset: 250 } }).catch((error) => error))).toBe(
        'OFFSET_OUT_OF_RANGE',
      )
      const rest = await replayed(stage)
      expect(rest.begun).toMatchObject({ policy: 'dense', offset: COUNT })
      expect(rest.same!.stateSha256).toBe(whole.same!.stateSha256)
      expect(countsOf(rest).decisions).toEqual({
        equal: 0,
        different: 0,
        unchecked: { 'made at a state before the one that the fold began with': 120 },
      })
      const kept = await open(ALONE)
      await writeLog(kept, COUNT)
      for (const p of [0, 1, 2, 3]) kept.deleteRecords('decision-request', p, 25)
      expect(countsOf(await replayed(kept)).decisions).toEqual({
        equal: 200,
        different: 0,
        unchecked: { 'their requests are gone': 100 },
      })
    },
  )
})

describeOnClusters('a replay of another policy', (open) => {
  test('with other exploration is evaluated, and keeps the state', TIMEOUT, async () => {
    const stage = await open(ALONE)
    const { table } = await writeLog(stage, COUNT)
    const { same, other } = await replayed(stage, { others: [otherDense(stage, { alpha: 1 })] })
    expect(same).toBeNull()
    expect(other).toMatchObject({ sameMeaning: true, outcomes: COUNT, learned: COUNT })
    expect(other!.report).toMatchObject({ steps: COUNT, refused: new Map() })
    expect(other!.stateSha256).toBe(sha256(table.save('dense').bytes))
  })

  test('is judged as by hand, from the beginning of the range on', TIMEOUT, async () => {
    const stage = await open(ALONE)
    const { requests, outcomes, table } = await writeLog(stage, COUNT)
    const others = [otherDense(stage, { alpha: 0.1, lambda: 5 }, 0.2)]
    const { other } = await replayed(stage, { others, from: { offset: 50 } })
    const naive = new NaiveLinUcb(4, 0.1, 5)
    const terms: { w: number; r: number }[] = []
    for (const { requestId, arm, propensity, reward } of outcomes.slice(50)) {
      const x = [...(requests.find((request) => request.requestId === requestId)!.context as number[]), 1]
      const scores = ['a', 'b', 'c'].map((each) => naive.score(each, x))
      const best = scores.indexOf(Math.max(...scores))
      const share = 0.2 / 3
      terms.push({ w: ('abc'[best] === arm ? 0.8 + share : share) / propensity, r: reward })
      naive.learn(arm, x, reward)
    }
    const total = (of: (term: { w: number; r: number }) => number) =>
      terms.reduce((sum, term) => sum + of(term), 0)
    const n = terms.length
    const [w, wr] = [total((term) => term.w), total((term) => term.w * term.r)]
    const { report } = other!
    expect(report.steps).toBe(250)
    expect(report.logged.value).toBeCloseTo(total(({ r }) => r) / n, 10)
    expect(report.ips.value).toBeCloseTo(wr / n, 10)
    expect(report.ips.standardError).toBeCloseTo(
      Math.sqrt(total((term) => (term.w * term.r - wr / n) ** 2) / (n - 1) / n),
      10,
    )
    expect(report.snips.value).toBeCloseTo(wr / w, 10)
    expect(report.effectiveSampleSize).toBeCloseTo(w ** 2 / total((term) => term.w ** 2), 8)
    expect(report.maxWeight).toBeCloseTo(Math.max(...terms.map((term) => term.w)), 10)
    expect(other).toMatchObject({ sameMeaning: false, learned: 250 })
    expect(other!.stateSha256).not.toBe(sha256(table.save('dense').bytes))
  })

  test('that is none after all is a replay of the same', TIMEOUT, async () => {
    const stage = await open(ALONE)
    await writeLog(stage, 40)
    const { same, other } = await replayed(stage, { others: stage.config.policies })
    expect(other).toBeNull()
    expect(same!.comparison.of('decisions')).toEqual(equal(40))
  })

  test('is refused where the log defines no policy of its name', TIMEOUT, async () => {
    const stage = await open(ALONE)
    const failed = (options: Partial<ReplayOptions>) =>
      replay(stage.runtime, { ...ALL, ...options }).catch((error: unknown) => error)
    expect(failureCode(await failed({ others: [{ ...otherDense(stage, {}), name: 'nobody' }] }))).toBe(
      'INVALID_CONFIG',
    )
    expect(failureCode(await failed({ policies: ['nobody'] }))).toBe('UNKNOWN_POLICY')
  })
})

test('a range is a time with its zone, an offset, or an end; all else is refused', () => {
  expect(parseBound('beginning', '--from')).toBe('beginning')
  expect(parseBound('17', '--from')).toEqual({ offset: 17 })
  expect(parseBound('2026-01-31', '--from')).toEqual({ time: Date.UTC(2026, 0, 31) })
  expect(parseBound('2026-01-31T12:00+02:00', '--from')).toEqual({ time: Date.UTC(2026, 0, 31, 10) })
  for (const nonsense of [
    '',
    '-1',
    '1.5',
    'yesterday',
    '2026-01-31T12:00',
    '2026-02-30',
    '2026-13-01',
    '1e3',
  ])
    expect(() => parseBound(nonsense, '--to'), nonsense).toThrow('--to: "')
})
