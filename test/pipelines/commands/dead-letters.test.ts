import { beforeEach, describe, expect, it } from 'vitest'
import { CUT_VALUE_LENGTH, WHOLE_VALUE_LIMIT } from '../../../operators/streams/dead-letter.ts'
import { LARGEST_LETTER } from '../../../pipelines/checks/topics.ts'
import {
  type LetterAt,
  REPLAYED_HEADER,
  readLetters,
  replayLetters,
  type Unsent,
} from '../../../pipelines/delivery/dead-letters.ts'
import { openCodec } from '../../../pipelines/process/open.ts'
import { REFUSAL, recordsOf, refuse, type Surroundings, send, surroundings } from './cluster.ts'

let here: Surroundings
beforeEach(() => {
  here = surroundings()
  here.cluster.create({ topic: 'dead-letters', partitions: 2 })
  here.cluster.create({ topic: 'rewards', partitions: 4 })
  here.cluster.create({ topic: 'decisions', partitions: 4 })
})

/** Writes records into a topic and refuses each of them. */
const refused = async (topic: string, ...values: (Buffer | string)[]) => {
  const before = (await recordsOf(here, topic)).length
  await send(
    here,
    ...values.map((value, i) => ({ topic, key: Buffer.from(`k${i}`), value: Buffer.from(value) })),
  )
  const all = (await recordsOf(here, topic)).sort((a, b) => a.timestamp - b.timestamp)
  expect(all.length).toBe(before + values.length)
  for (const record of all.filter(({ headers }) => headers === undefined)) await refuse(here, topic, record)
  return all
}

const replay = async (options: Partial<Parameters<typeof replayLetters>[1]> = {}) => {
  const unsent: Unsent[] = []
  const result = await replayLetters(here, { dryRun: false, onUnsent: (one) => unsent.push(one), ...options })
  return { ...result, unsent }
}

const sentAgain = async (topic: string) =>
  (await recordsOf(here, topic)).filter(({ headers }) => headers !== undefined)

describe('reading dead letters', () => {
  it('gives those of a code and a topic, with where they lie', async () => {
    await refused('rewards', 'a', 'b')
    const [decision] = await refused('decisions', 'c')
    await refuse(here, 'decisions', decision!, { stage: 'join', code: 'NON_FINITE_NUMBER', message: 'NaN' })
    const found: LetterAt[] = []
    const options = { topic: 'decisions', code: 'NON_FINITE_NUMBER' }
    const read = await readLetters(here, options, (letters) => void found.push(...letters))
    expect(read.matched).toBe(1)
    expect(found.map(({ letter }) => letter.message)).toEqual(['NaN'])
    const lying = await recordsOf(here, 'dead-letters')
    const { partition, offset } = found[0]!
    expect(lying.some((record) => record.partition === partition && record.offset === offset)).toBe(true)
  })

  it('counts what is no dead letter and goes on', async () => {
    await send(here, { topic: 'dead-letters', key: null, value: Buffer.from('noise') })
    await refused('rewards', 'a')
    expect(await readLetters(here, {}, () => {})).toMatchObject({ matched: 1, unreadable: 1 })
  })
})

describe('the codec of dead letters', () => {
  it('takes the largest letter however small the messages that are taken', async () => {
    const { config } = surroundings({ 'limits.messageBytes': '1KiB' })
    const here = { ...surroundings(), config, codec: openCodec(config, undefined) }
    here.cluster.create({ topic: 'dead-letters', partitions: 1 })
    const [key, value] = [Buffer.alloc(CUT_VALUE_LENGTH), Buffer.alloc(WHOLE_VALUE_LIMIT)]
    const message = '\u{10ffff}'.repeat(1_000)
    const topic = 't'.repeat(249)
    await refuse(here, topic, { key, value, partition: 0, offset: 0 }, { ...REFUSAL, message })
    expect((await recordsOf(here, 'dead-letters'))[0]!.value!.length).toBeLessThan(LARGEST_LETTER)
    expect(await readLetters(here, {}, () => {})).toMatchObject({ matched: 1, unreadable: 0 })
  })
})

describe('a replay', () => {
  it('sends the raw bytes to their topic and partition, under their key, and says where they came from', async () => {
    const originals = await refused('rewards', 'a', 'b', 'c')
    expect(await replay()).toMatchObject({ matched: 3, sent: 3, repeated: 0, lost: 0, refused: 0 })
    const again = await sentAgain('rewards')
    expect(again.length).toBe(3)
    for (const { key, value, partition, headers } of again) {
      const original = originals.find((record) => record.value!.equals(value!))!
      expect(key).toEqual(original.key)
      expect(partition).toBe(original.partition)
      expect(headers![REPLAYED_HEADER]!.toString()).toBe(`rewards/${partition}/${original.offset}`)
    }
  })

  it('keeps null keys and values', async () => {
    await send(here, { topic: 'rewards', key: null, value: null, partition: 2 })
    await refuse(here, 'rewards', (await recordsOf(here, 'rewards'))[0]!)
    await replay()
    expect(
      (await recordsOf(here, 'rewards')).map(({ key, value, partition }) => [key, value, partition]),
    ).toEqual([
      [null, null, 2],
      [null, null, 2],
    ])
  })

  it('sends a record once that two pipelines refused, or that failed again after an earlier replay', async () => {
    const [original] = await refused('rewards', 'a')
    await refuse(here, 'rewards', original!, { stage: 'record', code: 'INVALID_EVENT', message: 'no column' })
    await replay()
    const [again] = await sentAgain('rewards')
    await refuse(here, 'rewards', again!)
    expect(await replay()).toMatchObject({ matched: 3, sent: 1, repeated: 2 })
    expect((await sentAgain('rewards')).length).toBe(2)
  })

  it('ends where the dead letters ended when it began', async () => {
    await refused('rewards', 'a')
    const { broker } = here
    // What is sent again is refused again, at once.
    const stubborn = {
      ...here,
      broker: {
        ...broker,
        writer: async () => {
          const writer = await broker.writer()
          return {
            ...writer,
            send: async (records: Parameters<typeof writer.send>[0]) => {
              await writer.send(records)
              await refuse(here, 'rewards', {
                ...(await recordsOf(here, 'rewards')).at(-1)!,
                value: Buffer.from('x'),
              })
            },
          }
        },
      },
    }
    expect(await replayLetters(stubborn, { dryRun: false })).toMatchObject({ matched: 1, sent: 1 })
  })

  it('begins where it is told, and says where the next one would', async () => {
    await refused('rewards', 'a', 'b')
    const { next } = await replay()
    await refused('decisions', 'c')
    const second = await replay({ from: (partition) => next.get(partition)! })
    expect(second).toMatchObject({ matched: 1, sent: 1 })
    expect((await sentAgain('decisions')).map(({ value }) => value!.toString())).toEqual(['c'])
    expect((await replay({ from: (partition) => second.next.get(partition)! })).matched).toBe(0)
    // Beyond the end there is nothing; below the beginning there is everything.
    expect((await replay({ from: () => 1_000_000, dryRun: true })).matched).toBe(0)
  })

  it('sends nothing when dry', async () => {
    await refused('rewards', 'a', 'b')
    expect(await replay({ dryRun: true })).toMatchObject({ matched: 2, sent: 2 })
    expect(await sentAgain('rewards')).toEqual([])
  })

  it('reads a cut value again at its source', async () => {
    const large = Buffer.alloc(600 * 1024, 7)
    await refused('rewards', large)
    expect(await replay()).toMatchObject({ sent: 1, reread: 1, lost: 0 })
    const [again] = await sentAgain('rewards')
    expect(again!.value!.equals(large)).toBe(true)
  })

  it('names a cut value as lost when its source no longer holds it', async () => {
    const [original] = await refused('rewards', Buffer.alloc(600 * 1024, 7), 'small')
    here.cluster
      .topic('rewards')
      .log(original!.partition)
      .deleteBelow(original!.offset + 1)
    const { sent, lost, unsent } = await replay()
    expect({ sent, lost }).toEqual({ sent: 1, lost: 1 })
    expect(unsent[0]!.why).toContain(`rewards/${original!.partition}/${original!.offset} no longer holds`)
  })

  it('takes no other record for a cut one', async () => {
    const cut = { key: Buffer.from('k'), value: Buffer.alloc(600 * 1024, 7), partition: 0, offset: 0 }
    await send(here, { topic: 'rewards', key: null, value: Buffer.from('another'), partition: 0 })
    await refuse(here, 'rewards', cut)
    await refuse(here, 'rewards', { ...cut, offset: 99, value: Buffer.alloc(600 * 1024, 8) })
    expect(await replay()).toMatchObject({ sent: 0, lost: 2 })
  })

  it('names what its topic refuses, and sends the rest', async () => {
    here.cluster.create({ topic: 'narrow', partitions: 1, config: { 'max.message.bytes': '1000' } })
    await refuse(here, 'narrow', { key: null, value: Buffer.alloc(2_000), partition: 0, offset: 0 })
    await refuse(here, 'gone', { key: null, value: Buffer.from('a'), partition: 0, offset: 0 })
    await refused('rewards', 'a')
    const { sent, refused: refusedAgain, unsent } = await replay()
    expect({ sent, refusedAgain }).toEqual({ sent: 1, refusedAgain: 2 })
    expect(unsent.map(({ letter }) => letter.topic).sort()).toEqual(['gone', 'narrow'])
  })
})
