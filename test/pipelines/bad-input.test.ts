/**
 * Bad input: whatever a record holds, it becomes a dead letter that says where it lay, what it was and why it was refused; it is counted and
 * recorded, the states do not change, and the stream goes on.
 */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { DeadLetter, DecisionRequest, EventName } from '../../schemas/generated/events.ts'
import { describeWithClickHouse, useClickHouse } from '../clickhouse-server.ts'
import { describeOnClusters, type Stage } from './harness.ts'
import { denseRequest, expectReplayed, ids, playRound } from './rounds.ts'

const TIMEOUT = { timeout: 120_000 }
const PARTITION = 2

interface Letter {
  readonly job: string
  readonly stage: string
  readonly code: string
}

interface Case {
  readonly topic: EventName
  /** The record's value; null is a value too. */
  readonly value: (stage: Stage) => Buffer | null
  readonly letters: readonly Letter[]
  /** Whether the letter must hold a part of the value only. */
  readonly cut?: boolean
}

const request = (of: Partial<DecisionRequest>) => (stage: Stage) =>
  stage.runtime.codec.encode('decision-request', denseRequest(stage, 900_000, of))
const good = request({})
const arms = (...names: string[]) => names.map((id) => ({ id, features: null }))

/** What `decide` refuses. */
const decided = (stage: string, code: string, value: Case['value'], cut = false): Case => ({
  topic: 'decision-request',
  value,
  letters: [{ job: 'decide', stage, code }],
  cut,
})

const reward = (value: number) => (stage: Stage) =>
  stage.runtime.codec.encode('reward', { requestId: 'r-900000', rewardId: '', value, occurredAt: stage.time })

/** What both readers of a topic refuse. */
const joinedAndRecorded = (
  topic: EventName,
  value: Case['value'],
  [join, record]: [string, string],
  code: string,
): Case => ({
  topic,
  value,
  letters: [
    { job: 'attribute', stage: join, code },
    { job: 'record', stage: record, code },
  ],
})

/** Twenty million arms announced in a few bytes. */
const bomb = (stage: Stage): Buffer => {
  const framing = good(stage).subarray(0, 10)
  const text = (value: string) => [2 * value.length, ...Buffer.from(value)]
  return Buffer.concat([
    framing,
    Buffer.from([...text('r'), ...text('dense'), 0, 0, 0x80, 0xb4, 0x89, 0x13, 0, 0, 0]),
  ])
}

/** The longest value that a topic takes under a key of this length, by Kafka's measure of a batch of one record. */
const longestValue = (limit: number, keyLength: number): number => {
  const varint = (length: number): number => {
    let bytes = 1
    for (let rest = 2 * length; rest > 127; rest = Math.floor(rest / 128)) bytes++
    return bytes
  }
  const size = (value: number): number => {
    const body = 4 + varint(keyLength) + keyLength + varint(value) + value
    return 61 + varint(body) + body
  }
  let length = limit
  while (size(length) > limit) length--
  return length
}
const MAX_MESSAGE_BYTES = 1_048_588
const KEY_LENGTH = 6
const LONGEST = longestValue(MAX_MESSAGE_BYTES, KEY_LENGTH)

/** A request of exactly this length that can be read. */
const requestOfLength = (stage: Stage, length: number): Buffer => {
  const of = (policy: string) => request({ policy })(stage)
  const value = of('x'.repeat(length - of('x'.repeat(100_000)).length + 100_000))
  // Lengths are written in as few bytes as they need.
  return value.length === length
    ? value
    : of('x'.repeat(2 * length - value.length - of('x'.repeat(100_000)).length + 100_000))
}

const CASES: Readonly<Record<string, Case>> = {
  'a value that is cut off': decided('decode', 'MALFORMED_AVRO', (s) => good(s).subarray(0, -3)),
  'a value with bytes left over': decided('decode', 'MALFORMED_AVRO', (s) =>
    Buffer.concat([good(s), Buffer.of(0)]),
  ),
  'a value without framing': decided('decode', 'MALFORMED_AVRO', () => Buffer.from('{"not": "avro"}')),
  'an empty value': decided('decode', 'MALFORMED_AVRO', () => Buffer.alloc(0)),
  'twenty million items in thirty bytes': decided('decode', 'MESSAGE_TOO_LARGE', bomb),
  'a schema that nobody released': decided('decode', 'UNKNOWN_SCHEMA', (s) =>
    Buffer.concat([Buffer.from('c301deadbeefdeadbeef', 'hex'), good(s).subarray(10)]),
  ),
  'an event of another kind': decided('decode', 'UNKNOWN_SCHEMA', reward(1)),
  'a registry id where there is no registry': decided('decode', 'UNKNOWN_SCHEMA', (s) =>
    Buffer.concat([Buffer.from('000000002a', 'hex'), good(s).subarray(10)]),
  ),
  'no value': decided('decode', 'INVALID_EVENT', () => null),
  'NaN in the context': decided('decide', 'NON_FINITE_NUMBER', request({ context: [1, Number.NaN, 0] })),
  'Infinity in the context': decided(
    'decide',
    'NON_FINITE_NUMBER',
    request({ context: [Number.POSITIVE_INFINITY, 0, 0] }),
  ),
  '-Infinity in the context': decided(
    'decide',
    'NON_FINITE_NUMBER',
    request({ context: [0, 0, Number.NEGATIVE_INFINITY] }),
  ),
  'numbers whose squares overflow': decided(
    'decide',
    'NON_FINITE_NUMBER',
    request({ context: [1e200, 1, 1] }),
  ),
  'a context too short': decided('decide', 'WRONG_DIMENSION', request({ context: [1, 2] })),
  'a context too long': decided('decide', 'WRONG_DIMENSION', request({ context: [1, 2, 3, 4] })),
  'named features where dense ones are defined': decided(
    'decide',
    'INVALID_EVENT',
    request({ context: { age: 1 } }),
  ),
  'no context': decided('decide', 'INVALID_EVENT', request({ context: null })),
  'an unknown policy': decided('decide', 'UNKNOWN_POLICY', request({ policy: 'nobody' })),
  "a policy named as an object's own member": decided(
    'decide',
    'UNKNOWN_POLICY',
    request({ policy: '__proto__' }),
  ),
  'no arms': decided('decide', 'EMPTY_ARMS', request({ arms: [] })),
  'an arm named twice': decided('decide', 'DUPLICATE_ARM', request({ arms: arms('a', 'b', 'a') })),
  'features of arms where none are defined': decided(
    'decide',
    'INVALID_EVENT',
    request({ arms: [{ id: 'a', features: { price: 1 } }, ...arms('b')] }),
  ),
  'the largest record there can be, unreadable': decided(
    'decode',
    'MALFORMED_AVRO',
    () => Buffer.alloc(LONGEST, 7),
    true,
  ),
  'the largest record there can be, readable': decided(
    'decide',
    'UNKNOWN_POLICY',
    (s) => requestOfLength(s, LONGEST),
    true,
  ),
  'a request whose decision is too large to be written': decided(
    'deliver',
    'MESSAGE_TOO_LARGE',
    request({ arms: arms(...ids(0, 9_000).map((id) => `${id}-${'x'.repeat(100)}`)) }),
    true,
  ),
  'a reward that is cut off': joinedAndRecorded(
    'reward',
    (s) => reward(1)(s).subarray(0, -1),
    ['decode', 'decode'],
    'MALFORMED_AVRO',
  ),
  'a reward without a value': joinedAndRecorded('reward', () => null, ['decode', 'decode'], 'INVALID_EVENT'),
  'a reward of NaN': joinedAndRecorded('reward', reward(Number.NaN), ['join', 'record'], 'NON_FINITE_NUMBER'),
  'a reward of Infinity': joinedAndRecorded(
    'reward',
    reward(Number.POSITIVE_INFINITY),
    ['join', 'record'],
    'NON_FINITE_NUMBER',
  ),
  'a reward of -Infinity': joinedAndRecorded(
    'reward',
    reward(Number.NEGATIVE_INFINITY),
    ['join', 'record'],
    'NON_FINITE_NUMBER',
  ),
  'a decision that is none': joinedAndRecorded(
    'decision',
    () => Buffer.from('none'),
    ['decode', 'decode'],
    'MALFORMED_AVRO',
  ),
  'an outcome that is none': {
    topic: 'outcome',
    value: () => Buffer.from('none'),
    letters: [{ job: 'record', stage: 'decode', code: 'MALFORMED_AVRO' }],
  },
  'a dead letter that is none': {
    topic: 'dead-letter',
    value: () => Buffer.from('none'),
    letters: [{ job: 'record', stage: 'decode', code: 'MALFORMED_AVRO' }],
  },
}

describeWithClickHouse('bad input', () => {
  const clickhouse = useClickHouse()
  describeOnClusters('a dead letter for', (open) => {
    const stageOf = () =>
      open.shared({ clickhouse }, async (stage) => {
        stage.start(['decide', 'attribute', 'record'])
        await playRound(stage, ids(0, 40))
      })
    let next = 100

    test.each(Object.entries(CASES))(
      '%s',
      TIMEOUT,
      async (_, { topic: event, value: make, letters, cut = false }) => {
        const stage = await stageOf()
        const topic = stage.topic(event)
        const states = await stage.states()
        const counter = ({ job, code }: Letter) =>
          stage.metric(`millrace_dead_letters_total{job="${job}",code="${code}"}`)
        const counted = await Promise.all(letters.map(counter))
        const value = make(stage)
        const id = next++
        const key = Buffer.from(`k-${String(id).padStart(KEY_LENGTH - 2, '0')}`)
        await stage.send([{ topic, partition: PARTITION, key, value }])
        const { offset } = (await stage.records(topic)).find((record) => record.key?.equals(key))!

        const found = async () =>
          (await stage.events('dead-letter')).filter(
            (each) => each.event.topic === topic && each.event.offset === offset,
          )
        await stage.until('the dead letters', async () => (await found()).length >= letters.length)
        const expected = letters.map(
          ({ stage: at, code }): DeadLetter => ({
            topic,
            partition: PARTITION,
            offset,
            key,
            value: cut ? value!.subarray(0, 65_536) : value,
            valueLength: value?.length ?? -1,
            valueSha256: value === null ? '' : createHash('sha256').update(value).digest('hex'),
            truncated: cut,
            schemaId: value === null ? '' : stage.runtime.codec.schemaIdOf(value),
            stage: at,
            code,
            message: expect.stringMatching(/^.{5,1000}$/s),
            at: expect.any(Number),
          }),
        )
        const byStage = (a: DeadLetter, b: DeadLetter) => a.stage.localeCompare(b.stage)
        expect((await found()).map(({ event }) => event).sort(byStage)).toEqual(expected.sort(byStage))

        // The stream goes on behind it, in the same partition.
        const after = denseRequest(stage, id)
        await stage.send([
          {
            topic: stage.topic('decision-request'),
            partition: PARTITION,
            key: Buffer.from(after.requestId),
            value: stage.runtime.codec.encode('decision-request', after),
          },
        ])
        const decisions = async () => {
          const records = await stage.records(stage.topic('decision'))
          return records.some((record) => record.key?.toString() === after.requestId)
        }
        await stage.until('the next decision', decisions)
        expect(await stage.states()).toEqual(states)
        await stage.until('the counters', async () => {
          const now = await Promise.all(letters.map(counter))
          return now.every((count, i) => count >= counted[i]! + 1)
        })
        expect(await Promise.all(letters.map(counter))).toEqual(counted.map((count) => count + 1))

        const ch = await stage.runtime.clickhouse()
        const rows = () =>
          ch.query<{ stage: string; code: string; length: string; cut: boolean; sha: string }>(
            `SELECT stage, code, value_length AS length, truncated AS cut, value_sha256 AS sha FROM dead_letters
           WHERE source_topic = {topic:String} AND source_partition = ${PARTITION} AND source_offset = {offset:Int64} ORDER BY stage`,
            { topic, offset },
          )
        await stage.until('the rows', async () => (await rows()).length >= letters.length)
        expect(await rows()).toEqual(
          expected.map(({ stage, code, valueLength, truncated, valueSha256 }) => ({
            stage,
            code,
            length: String(valueLength),
            cut: truncated,
            sha: valueSha256,
          })),
        )
      },
    )

    test('and none for what was sound: every decision can be made again', TIMEOUT, async () => {
      await expectReplayed(await stageOf())
    })
  })
})
