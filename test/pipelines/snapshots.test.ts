/**
 * Snapshots on a cluster: a decider that comes back goes on from one and ends with the bytes of the whole fold, whatever has happened to the
 * newest; who owns the partition writes them, in rotating slots, and what is not named any more is removed.
 */
import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openModelStore } from '../../infra/models/store.ts'
import { createLog } from '../../infra/telemetry/log.ts'
import { PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { partKey, partOf, partsOf } from '../../operators/bandits/state/split.ts'
import type { Runtime } from '../../pipelines/process/runtime.ts'
import { restore } from '../../pipelines/states/restore.ts'
import { partsOfSnapshot, readSnapshots } from '../../pipelines/states/snapshot-log.ts'
import type { Outcome, Snapshot } from '../../schemas/generated/events.ts'
import { describeOnClusters, failureCode, learnIfSound, POLICIES, type Stage } from './harness.ts'
import { denseRequest, expectReplayed, ids } from './rounds.ts'

const TIMEOUT = { timeout: 120_000 }
const EVERY = 20
const [DENSE] = POLICIES
const BOTH = { overrides: { 'snapshots.every': EVERY } }
const ALONE = { overrides: { 'snapshots.every': EVERY, policies: [DENSE] } }

const outcomeOf = (stage: Stage, policy: string, id: number): Outcome => ({
  requestId: `r-${id}`,
  policy,
  policyVersion: 1,
  policyHash: '',
  occurredAt: stage.time,
  closedAt: stage.time,
  arm: 'abc'[id % 3]!,
  propensity: 0.5,
  propensityKind: 'exact',
  arms: ['a', 'b', 'c'],
  probabilities: [0.5, 0.25, 0.25],
  vector:
    policy === 'dense'
      ? [Math.sin(id), Math.cos(id), 0.5, 1]
      : [1, 2, 3, 4, 5, 6, 7, 8].map((i) => Math.sin(i * id)),
  hyperParameters: [],
  stateOffset: 0,
  requestPartition: 0,
  requestOffset: 0,
  reward: (id % 5) / 4,
  rewardKind: 'observed',
  rewardOccurredAt: stage.time,
})

/** Writes outcomes of a policy as `attribute` would, each to its part. */
const play = async (stage: Stage, numbers: readonly number[], policy = 'dense'): Promise<void> => {
  const { codec } = stage.runtime
  const parts = partsOf(stage.config.policies.find(({ name }) => name === policy)!.definition)
  await codec.prepare(['outcome'])
  await stage.send(
    numbers.map((id) => {
      const outcome = outcomeOf(stage, policy, id)
      const key = Buffer.from(partKey(policy, partOf(outcome.requestId, parts), parts))
      return { topic: stage.topic('outcome'), key, value: codec.encode('outcome', outcome) }
    }),
  )
}

const snapshotsOf = async (stage: Stage, policy = 'dense'): Promise<Snapshot[]> =>
  (await readSnapshots(stage.runtime))
    .filter((snapshot) => snapshot.policy === policy)
    .sort((a, b) => b.offset - a.offset)

/** Waits for a snapshot with all that was written of a policy; the outcomes of the tests come in numbers that make one due. */
const snapshotted = async (stage: Stage, policy = 'dense'): Promise<Snapshot> => {
  const own = (await stage.events('outcome')).filter(({ event }) => event.policy === policy)
  const end = own.at(-1)!.offset + 1
  let newest: Snapshot | undefined
  await stage.until(`a snapshot of ${policy} at ${end}`, async () => {
    newest = (await snapshotsOf(stage, policy))[0]
    return newest !== undefined && newest.offset >= end
  })
  return newest!
}

/** The bytes that the outcomes below a snapshot's offsets give. */
const folded = async (stage: Stage, snapshot: Snapshot): Promise<Uint8Array> => {
  const table = new PolicyTable(await stage.definitions())
  const ends = partsOfSnapshot(snapshot).map(({ offset }) => offset)
  for (const outcome of await stage.events('outcome')) {
    const { policy, requestId } = outcome.event
    if (policy === snapshot.policy && outcome.offset < ends[partOf(requestId, ends.length)]!)
      learnIfSound(table, outcome)
  }
  return table.save(snapshot.policy).bytes
}

/**
 * Every snapshot of the topic is in the store and holds what the log gives; nothing else is in the store, but for bytes of owners that lost their task
 * before they could name them.
 */
const expectSound = async (stage: Stage, changesOfOwner = 0): Promise<void> => {
  const snapshots = await readSnapshots(stage.runtime)
  const store = await openModelStore(stage.models)
  for (const snapshot of snapshots) {
    const bytes = await store.get(snapshot.sha256)
    expect(bytes!.equals(await folded(stage, snapshot))).toBe(true)
    expect(bytes).toHaveLength(snapshot.bytes)
  }
  const named = new Set(snapshots.map(({ sha256 }) => sha256))
  await stage.until('what is not named to be removed', async () => {
    const kept = await store.list()
    return [...named].every((sha256) => kept.includes(sha256)) && kept.length - named.size <= changesOfOwner
  })
}

/** A runtime whose log lines are kept. */
const listening = (runtime: Runtime) => {
  const lines: Record<string, unknown>[] = []
  const log = createLog({ level: 'info', destination: { write: (line) => lines.push(JSON.parse(line)) } })
  return { runtime: { ...runtime, log }, codes: () => lines.flatMap(({ code }) => code ?? []), lines }
}

/** Restores a new table, and gives its bytes of a policy and what was warned of. */
const restored = async (stage: Stage, policy = 'dense') => {
  const { runtime, codes } = listening(stage.runtime)
  const definitions = await stage.definitions()
  const table = new PolicyTable(definitions)
  const outcomes = await runtime.broker.admin.offsets(stage.topic('outcome'))
  const snapshots = await restore(runtime, table, definitions, outcomes)
  const { bytes, offsets } = table.save(policy)
  return { snapshots, codes: codes(), bytes: Buffer.from(bytes), offsets }
}

const learned = (stage: Stage, runtime: Runtime) =>
  stage.metric('millrace_events_in_total{job="learn"}', runtime)
const stateOffset = (stage: Stage, runtime: Runtime) =>
  stage.metric('millrace_policy_state_offset{policy="dense"}', runtime)

/** Three snapshots of `dense` and a tail behind the newest, with no decider running any more. */
const prepare = async (stage: Stage): Promise<Snapshot> => {
  const decider = stage.start(['decide'], await stage.process())
  for (const first of [0, 100, 200]) {
    await play(stage, ids(first, EVERY + 5))
    await snapshotted(stage)
  }
  await decider.stop()
  const [newest] = await snapshotsOf(stage)
  await play(stage, ids(300, 7))
  return newest!
}

describeOnClusters('snapshots', (open) => {
  test(
    'a decider that comes back learns only what lies behind its snapshots, and ends with the same bytes',
    TIMEOUT,
    async () => {
      const stage = await open(BOTH)
      const first = stage.start(['decide'], await stage.process())
      for (const policy of ['dense', 'shared']) await play(stage, ids(0, 50), policy)
      const snapshots = [await snapshotted(stage, 'dense'), await snapshotted(stage, 'shared')]
      await first.stop()
      for (const policy of ['dense', 'shared']) await play(stage, ids(50, 7), policy)
      const process = await stage.process()
      stage.start(['decide'], process)
      const whole = await stage.table()
      await stage.until(
        'the tail',
        async () => (await stateOffset(stage, process)) >= whole.get('dense')!.stateOffset,
      )
      await stage.until('the tail of both', async () => (await learned(stage, process)) >= 14)
      // Two policies in one partition are read from the older of their snapshots on.
      const spread = Math.abs(snapshots[0]!.offset - snapshots[1]!.offset)
      const apart = snapshots[0]!.partition !== snapshots[1]!.partition
      expect(await learned(stage, process)).toBeLessThanOrEqual(14 + (apart ? 0 : spread))
      expect(await stage.metric('millrace_snapshot_offset{policy="dense"}', process)).toBe(
        snapshots[0]!.offset,
      )
      await stage.publish('decision-request', [denseRequest(stage, 1)])
      await stage.eventually('decision', 1)
      await expectReplayed(stage)
      for (const policy of ['dense', 'shared']) await play(stage, ids(57, EVERY), policy)
      for (const policy of ['dense', 'shared']) await snapshotted(stage, policy)
      await expectSound(stage)
    },
  )

  test(
    'the slots rotate over restarts and owners, and the store keeps what the topic names',
    TIMEOUT,
    async () => {
      const stage = await open(BOTH)
      let next = 0
      const rounds = async (count: number) => {
        for (const end = next + count; next < end; next++) {
          await play(stage, ids(100 * next, EVERY + next))
          await snapshotted(stage)
        }
      }
      const one = stage.start(['decide'], await stage.process())
      await rounds(2)
      const two = stage.start(['decide'], await stage.process())
      await rounds(2)
      await one.stop()
      await rounds(2)
      await two.stop()
      stage.start(['decide'], await stage.process())
      await rounds(2)
      const taken = await stage.events('snapshot')
      const slots = taken
        .filter(({ event }) => event.policy === 'dense')
        .sort((a, b) => a.event.offset - b.event.offset)
        .map(({ event, key }) => {
          expect(key).toBe(`dense/${event.slot}`)
          return event.slot
        })
      // In memory the topic is compacted at once.
      expect(slots.slice(-4)).toEqual([0, 1, 2, 3])
      expect(slots.join().endsWith('0,1,2,3')).toBe(true)
      await expectSound(stage, 3)
    },
  )

  test(
    'a corrupt newest snapshot falls back to the one before and a longer replay, to the same bytes',
    TIMEOUT,
    async () => {
      const stage = await open(ALONE)
      const newest = await prepare(stage)
      const [, before, oldest] = await snapshotsOf(stage)
      const path = join(stage.models, newest.sha256)
      const bytes = await readFile(path)
      expect(await restored(stage)).toMatchObject({ codes: [], bytes, offsets: [newest.offset] })
      bytes[bytes.length >> 1]! ^= 4
      await writeFile(path, bytes)
      const fallen = await restored(stage)
      expect(fallen).toMatchObject({ codes: ['SNAPSHOT_CORRUPT'], offsets: [before!.offset] })
      expect(fallen.bytes.equals(await folded(stage, before!))).toBe(true)
      await rm(join(stage.models, before!.sha256))
      expect(await restored(stage)).toMatchObject({
        codes: ['SNAPSHOT_CORRUPT', 'SNAPSHOT_CORRUPT'],
        offsets: [oldest!.offset],
      })
      const process = await stage.process()
      stage.start(['decide'], process)
      const end = (await stage.table()).get('dense')!.stateOffset
      await stage.until('the longer replay', async () => (await stateOffset(stage, process)) >= end)
      expect(await learned(stage, process)).toBe(2 * (EVERY + 5) + 7)
      await play(stage, ids(400, 2 * EVERY))
      expect((await snapshotted(stage)).slot).toBe(3)
      const store = await openModelStore(stage.models)
      const last = (await snapshotsOf(stage))[0]!
      expect((await store.get(last.sha256))!.equals(await folded(stage, last))).toBe(true)
    },
  )

  test('with no snapshot left that is sound, the policy is folded from its beginning', TIMEOUT, async () => {
    const stage = await open(ALONE)
    await prepare(stage)
    for (const { sha256 } of await snapshotsOf(stage)) await truncate(join(stage.models, sha256), 100)
    expect(await restored(stage)).toMatchObject({ snapshots: [], offsets: [0] })
    const process = await stage.process()
    stage.start(['decide'], process)
    await stage.until('the whole fold', async () => (await learned(stage, process)) >= 3 * (EVERY + 5) + 7)
    await play(stage, ids(500, EVERY))
    await snapshotted(stage)
    const store = await openModelStore(stage.models)
    const last = (await snapshotsOf(stage))[0]!
    expect((await store.get(last.sha256))!.equals(await folded(stage, last))).toBe(true)
  })

  test('a snapshot of another kernel, format or partition is refused with a warning', TIMEOUT, async () => {
    const stage = await open(ALONE)
    const newest = await prepare(stage)
    const strange = { ...newest, slot: 3, offset: newest.offset + 1 }
    const { partitions } = stage.config.topics
    for (const change of [
      { kernel: 'float64-other' },
      { format: 99 },
      { partition: (newest.partition + 1) % partitions },
      {
        parts: [
          { partition: newest.partition, offset: 1 },
          { partition: newest.partition, offset: newest.offset },
        ],
      },
    ]) {
      await stage.publish('snapshot', [{ ...strange, ...change }])
      expect(await restored(stage)).toMatchObject({ codes: ['SNAPSHOT_MISMATCH'], offsets: [newest.offset] })
    }
    // Beyond the end of the log; of a state with another meaning; of nobody.
    await stage.publish('snapshot', [{ ...strange, offset: newest.offset + 10_000 }])
    expect(await restored(stage)).toMatchObject({ codes: ['OFFSET_OUT_OF_RANGE'], offsets: [newest.offset] })
    await stage.publish('snapshot', [{ ...strange, policyHash: '0123456789abcdef' }])
    expect(await restored(stage)).toMatchObject({ codes: [], offsets: [newest.offset] })
    await stage.publish('snapshot', [{ ...strange, sha256: '../../etc/passwd' }])
    expect(await restored(stage)).toMatchObject({ codes: ['SNAPSHOT_CORRUPT'], offsets: [newest.offset] })
  })

  test(
    'while the store is away nothing is committed, /ready says so and decisions go on; then it is made up for',
    TIMEOUT,
    async () => {
      const stage = await open(ALONE)
      await rm(stage.models, { recursive: true })
      await writeFile(stage.models, 'something else in its place')
      const process = await stage.process()
      stage.start(['decide'], process)
      await play(stage, ids(0, EVERY))
      await stage.until('the trouble to be told', () => 'snapshots' in process.health.report().reasons)
      expect(process.health.report()).toMatchObject({
        ready: false,
        reasons: { snapshots: expect.stringMatching(/model store/) },
      })
      await stage.publish('decision-request', [denseRequest(stage, 1), denseRequest(stage, 2)])
      await stage.eventually('decision', 2)
      await play(stage, ids(EVERY, EVERY))
      await stage.until('learning to go on', async () => (await learned(stage, process)) === 2 * EVERY)
      expect(await stage.count(stage.topic('snapshot'))).toBe(0)
      const { admin } = stage.runtime.broker
      const committed = await admin.committed(stage.config.app, 'learn', [stage.topic('outcome')])
      expect([...(committed.get(stage.topic('outcome'))?.values() ?? [])]).toEqual([])
      await rm(stage.models)
      await stage.until('it to be well again', () => process.health.report().ready)
      await snapshotted(stage)
      await expectSound(stage)
      const after = await admin.committed(stage.config.app, 'learn', [stage.topic('outcome')])
      const [newest] = await snapshotsOf(stage)
      expect(after.get(stage.topic('outcome'))?.get(newest!.partition)?.offset).toBe(newest!.offset)
    },
  )

  test('stopping while the store is away takes no longer', TIMEOUT, async () => {
    const stage = await open(ALONE)
    await rm(stage.models, { recursive: true })
    await writeFile(stage.models, 'something else in its place')
    const process = await stage.process()
    const running = stage.start(['decide'], process)
    await play(stage, ids(0, EVERY))
    await stage.until('the trouble to be told', () => 'snapshots' in process.health.report().reasons)
    await Promise.race([
      running.stop(),
      sleep(20_000, undefined, { ref: false }).then(() => Promise.reject(new Error('it hangs'))),
    ])
    expect(running.failure()).toBeUndefined()
  })

  test('a split policy goes on from its snapshot, each part from its own offset', TIMEOUT, async () => {
    const policies = [{ ...DENSE, partitions: 3, mergeEvery: 4 }]
    const stage = await open({ overrides: { 'snapshots.every': EVERY, policies } })
    const first = stage.start(['decide'], await stage.process())
    await play(stage, ids(0, 60))
    await stage.until('a snapshot', async () => (await snapshotsOf(stage)).length > 0)
    await first.stop()
    const [snapshot] = await snapshotsOf(stage)
    expect(snapshot!.parts).toHaveLength(3)
    const after = await restored(stage)
    expect(after.offsets).toEqual(snapshot!.parts.map(({ offset }) => offset))
    expect(after.bytes.equals(await folded(stage, snapshot!))).toBe(true)
    await play(stage, ids(60, 60))
    stage.start(['decide'], await stage.process())
    await stage.until('another', async () => (await snapshotsOf(stage)).length > 1)
    await expectSound(stage)
  })

  test(
    'an outcome whose schema is unknown stops the decider; one that is no outcome is passed over',
    TIMEOUT,
    async () => {
      const stage = await open(ALONE)
      const process = await stage.process()
      const running = stage.start(['decide'], process)
      const topic = stage.topic('outcome')
      const key = Buffer.from('dense')
      await stage.send([{ topic, key, value: Buffer.from('no Avro at all') }])
      await play(stage, ids(0, 3))
      await stage.until('the sound ones', async () => (await stateOffset(stage, process)) === 4)
      await stage.send([{ topic, key, value: Buffer.from('c3010102030405060708', 'hex') }])
      const failure = await running.failed()
      expect(failureCode(failure)).toBe('UNKNOWN_SCHEMA')
      expect(String(failure)).toMatch(/outcomes\/\d at offset 4: .*upgrade millrace/)
      expect(failureCode(await stage.start(['decide'], await stage.process()).failed())).toBe(
        'UNKNOWN_SCHEMA',
      )
    },
  )
})

describeOnClusters(
  'snapshots, their bytes and the log behind them',
  (open) => {
    test('whatever bit is flipped and wherever it is cut, the newest never loads', TIMEOUT, async () => {
      const stage = await open(ALONE)
      const newest = await prepare(stage)
      const [, before] = await snapshotsOf(stage)
      const path = join(stage.models, newest.sha256)
      const bytes = await readFile(path)
      const expected = await folded(stage, before!)
      await fc.assert(
        fc.asyncProperty(fc.nat(8 * bytes.length - 1), fc.boolean(), async (bit, cut) => {
          const damaged = Buffer.from(bytes)
          damaged[bit >> 3]! ^= 1 << (bit & 7)
          await writeFile(path, cut ? bytes.subarray(0, bit >> 3) : damaged)
          const fallen = await restored(stage)
          expect(fallen).toMatchObject({ codes: ['SNAPSHOT_CORRUPT'], offsets: [before!.offset] })
          expect(fallen.bytes.equals(expected)).toBe(true)
        }),
        { numRuns: 60 },
      )
    })

    test.each(['request-lost', 'reply-lost'] as const)(
      'where the %s of its commit, a snapshot is there once and sound, and the next follow',
      TIMEOUT,
      async (lost) => {
        const stage = await open(ALONE)
        let faults = 2
        const fault = (id: string) => (id.includes('-learn-') && faults-- > 0 ? lost : undefined)
        const decider = stage.start(['decide'], await stage.process({ fault }))
        for (const first of [0, 100, 200]) {
          await play(stage, ids(first, EVERY))
          await snapshotted(stage)
        }
        expect(decider.failure()).toBeUndefined()
        expect(faults).toBeLessThan(0)
        expect((await snapshotsOf(stage)).map(({ slot }) => slot)).toEqual([2, 1, 0])
        await expectSound(stage)
      },
    )

    test('outcomes below the snapshot may go; without it the start is refused', TIMEOUT, async () => {
      const stage = await open(ALONE)
      const newest = await prepare(stage)
      stage.deleteRecords('outcome', newest.partition, newest.offset)
      const process = await stage.process()
      const running = stage.start(['decide'], process)
      await stage.until('the tail', async () => (await learned(stage, process)) === 7)
      await running.stop()
      expect(await restored(stage)).toMatchObject({ codes: [], offsets: [newest.offset] })
      await rm(join(stage.models, newest.sha256))
      const { codes } = await restored(stage)
      expect(codes).toEqual(['SNAPSHOT_CORRUPT', 'OFFSET_OUT_OF_RANGE', 'OFFSET_OUT_OF_RANGE'])
      const failure = await stage.start(['decide'], await stage.process()).failed()
      expect(failureCode(failure)).toBe('OFFSET_OUT_OF_RANGE')
    })
  },
  ['memory'],
)
