/** Logs that somebody has changed beneath millrace: it says so and ends, and never goes on somewhere else. */
import { type Admin, ConfigResourceTypes } from 'kafkajs'
import { expect } from 'vitest'
import type { ErrorCode } from '../../schemas/errors.ts'
import { millrace } from './command.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import { newVerdict } from './tally.ts'
import type { Worker } from './worker.ts'
import { after, encoded, idsInPartitions, request } from './world.ts'

const administered = async <T>(stage: Stage, work: (admin: Admin) => Promise<T>): Promise<T> => {
  const admin = stage.client.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** Waits until a worker has ended of itself, and holds it to its code. */
const endsWith = async (worker: Worker, expected: ErrorCode): Promise<void> => {
  const { code, level } = await worker.until(({ level }) => level === 'fatal', `an end with ${expected}`)
  expect({ code, level }, worker.tail()).toEqual({ code: expected, level: 'fatal' })
  expect((await worker.ended).code).toBe(1)
}

/** Forgets everything that a partition of a topic holds now. */
const truncate = (stage: Stage, topic: string, partition: number): Promise<void> =>
  administered(stage, async (admin) => {
    const name = stage.prefix + topic
    const ends = await admin.fetchTopicOffsets(name)
    const { high } = ends.find((each) => each.partition === partition)!
    await admin.deleteTopicRecords({ topic: name, partitions: [{ partition, offset: high }] })
    stage.fault(`${topic}/${partition} truncated at ${high}`)
  })

const enlarge = async (stage: Stage, topic: string, count: number): Promise<void> => {
  await administered(stage, (admin) =>
    admin.createPartitions({ topicPartitions: [{ topic: stage.prefix + topic, count }] }),
  )
  stage.fault(`${topic} has ${count} partitions`)
}

const keepFor = (stage: Stage, topic: string, retentionMs: number): Promise<void> =>
  administered(stage, async (admin) => {
    const entry = { name: 'retention.ms', value: String(retentionMs) }
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: stage.prefix + topic, configEntries: [entry] }],
    })
  })

/** Outcomes and ledgers of one partition's task: nothing of it may move when its input has a hole. */
const madeIn = (stage: Stage, partition: number): number => {
  const decisions = stage.log.records(`${stage.prefix}decisions`)
  const own = new Set(decisions.filter((record) => record.partition === partition).map(({ key }) => key))
  return stage.log
    .records(`${stage.prefix}outcomes`)
    .filter(({ value }) => [...own].some((id) => value!.includes(id))).length
}

row(
  28,
  'a topic truncated below a needed position; retention too short',
  { name: 'truncated', recording: false },
  async (stage) => {
    const [worker] = await stage.started()
    stage.flow(either(2_000, 1_000))

    await keepFor(stage, 'rewards', 1_000)
    stage.fault('retention of rewards 1 s')
    const short = await millrace(stage, ['check'])
    expect(short.said).toMatch(/FAIL topics: RETENTION_TOO_SHORT: .*rewards has retention\.ms 1000/)
    expect(short.code).toBe(1)
    await keepFor(stage, 'rewards', -1)
    expect((await millrace(stage, ['check'])).said).not.toContain('RETENTION_TOO_SHORT')

    await stage.until('windows close', () => stage.count('outcomes') > 100)
    await worker!.stop()
    await truncate(stage, 'decisions', 1)
    const before = madeIn(stage, 1)
    for (let start = 0; start < 2; start++) {
      const joiner = stage.worker(`joiner-${start}`, { jobs: ['attribute'] }).start()
      await endsWith(joiner, 'OFFSET_OUT_OF_RANGE')
    }
    await stage.flowed()
    expect(madeIn(stage, 1)).toBe(before)

    // Requests that nobody has read yet are gone.
    await stage.send(
      idsInPartitions('missed-', 4).map((requestId) => {
        const event = { ...request(0, stage.world), requestId, occurredAt: after(stage.world, 0) }
        return { topic: 'decision-requests', key: requestId, value: encoded('decision-request', event) }
      }),
    )
    for (let partition = 0; partition < 4; partition++) await truncate(stage, 'decision-requests', partition)
    const decided = stage.count('decisions')
    await endsWith(stage.worker('decider', { jobs: ['decide'] }).start(), 'OFFSET_OUT_OF_RANGE')
    expect(stage.count('decisions')).toBe(decided)
    return newVerdict()
  },
)

row(
  28,
  'partitions added to an input while running, and to outcomes',
  { name: 'partitions', recording: false },
  async (stage) => {
    const [worker] = await stage.started()
    stage.flow(either(2_000, 1_000))
    await stage.until('windows close', () => stage.count('outcomes') > 100)
    await enlarge(stage, 'rewards', 5)
    await endsWith(worker!, 'PARTITION_MISMATCH')
    const outcomes = stage.count('outcomes')
    await endsWith(stage.worker('again').start(), 'PARTITION_MISMATCH')
    expect(stage.count('outcomes')).toBe(outcomes)

    await enlarge(stage, 'outcomes', 5)
    const decider = stage.worker('decider', { jobs: ['decide'] }).start()
    await endsWith(decider, 'PARTITION_MISMATCH')
    expect(decider.tasks('decide').size).toBe(0)
    return newVerdict()
  },
)
