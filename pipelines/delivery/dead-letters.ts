/**
 * Dead letters read back, and sent again: the raw bytes go to the topic and partition they came from, under the same key, once the reason
 * why they were refused is mended. A cut value is read again at its source. What is still refused becomes a new dead letter.
 *
 * A replay ends where the topic ended when it began, so it never meets what it causes, and sends records equal in topic, key and value
 * once: several pipelines may have refused one record, and an earlier replay of it may have failed again. It commits nothing: what it was
 * given it would send again, unless told where to begin. One hash a record is kept.
 */
import { createHash } from 'node:crypto'
import type { ConsumedRecord, OutputRecord, TopicOffsets } from '../../infra/kafka/port.ts'
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'
import type { DeadLetter } from '../../schemas/generated/events.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'

/** Carried by records that were sent again: where the record lay that was refused, `topic/partition/offset`. */
export const REPLAYED_HEADER = 'millrace-replayed'

export interface Filter {
  readonly code?: string
  /** The source topic. */
  readonly topic?: string
}

/** Where a letter lies in the topic of dead letters. */
export interface LetterPosition {
  readonly partition: number
  readonly offset: number
}

export interface LetterAt extends LetterPosition {
  readonly letter: DeadLetter
}

export interface ReadLettersOptions extends Filter {
  /** Where to begin, by partition; elsewhere at the earliest. Offsets that are gone begin at the earliest, too. */
  readonly from?: (partition: number) => number
  readonly signal?: AbortSignal
}

export interface LettersRead {
  /** Letters that fit the filter. */
  readonly matched: number
  /** Records that are no dead letters. */
  readonly unreadable: number
  /** Where the next reading would begin, by partition. */
  readonly next: ReadonlyMap<number, number>
}

/** Small, since each may hold 512 KiB, and a cut one brings its whole record. */
const BATCH_LETTERS = 50

type Letters = Pick<Runtime, 'broker' | 'codec' | 'config'>

/**
 * Reads the dead letters that are there now, batch by batch in the order of their partitions.
 * @throws MillraceError MISSING_TOPIC, KAFKA_UNAVAILABLE, REGISTRY_UNAVAILABLE
 */
export const readLetters = async (
  { broker, codec, config }: Letters,
  { code, topic: source, from: begin = () => 0, signal }: ReadLettersOptions,
  each: (letters: readonly LetterAt[]) => Promise<void> | void,
): Promise<LettersRead> => {
  const topic = topicOf(config, 'dead-letter')
  const offsets = await broker.admin.offsets(topic)
  const next = new Map(offsets.map((ends) => [ends.partition, beginningOf(ends, begin)]))
  const to = new Map(offsets.map(({ partition, latest }) => [partition, latest]))
  let matched = 0
  let unreadable = 0
  await broker.read(
    { topic, from: new Map(next), to, maxBatchRecords: BATCH_LETTERS },
    async ({ partition, records, nextOffset }) => {
      await codec.ensureSchemas(records.map(({ value }) => value))
      const letters: LetterAt[] = []
      for (const { offset, value } of records) {
        const letter = decoded(codec, value)
        if (letter === null) unreadable++
        else if (fits(letter, code, source)) letters.push({ partition, offset, letter })
      }
      matched += letters.length
      await each(letters)
      next.set(partition, nextOffset)
    },
    signal,
  )
  // Past the last records there may be none but those of transactions.
  return { matched, unreadable, next: signal?.aborted ? next : to }
}

const beginningOf = ({ partition, earliest, latest }: TopicOffsets, begin: (partition: number) => number) =>
  Math.min(latest, Math.max(earliest, begin(partition)))

const decoded = (codec: Letters['codec'], value: Buffer | null): DeadLetter | null => {
  try {
    return value === null ? null : codec.decode('dead-letter', value)
  } catch (error) {
    if (error instanceof MillraceError) return null
    throw error
  }
}

const fits = (letter: DeadLetter, code: string | undefined, topic: string | undefined): boolean =>
  (code === undefined || letter.code === code) && (topic === undefined || letter.topic === topic)

/** A letter that could not be sent again. */
export interface Unsent extends LetterAt {
  readonly why: string
}

export interface ReplayOptions extends ReadLettersOptions {
  /** Do everything but send. */
  readonly dryRun: boolean
  /** Told of every letter that cannot be sent again. */
  readonly onUnsent?: (unsent: Unsent) => void
}

export interface Replayed extends LettersRead {
  /** Records sent again, or that would have been. */
  readonly sent: number
  /** Letters of records that this run had sent already. */
  readonly repeated: number
  /** Of those sent, the records whose bytes came from their source. */
  readonly reread: number
  /** Cut, and no longer at their source. */
  readonly lost: number
  /** Refused by their topic: it is gone, or takes no record that large any more. */
  readonly refused: number
}

/**
 * Sends dead letters again.
 * @throws MillraceError as `readLetters` does; what was sent until then was sent.
 */
export const replayLetters = async (runtime: Letters, options: ReplayOptions): Promise<Replayed> => {
  const { dryRun, onUnsent = () => {} } = options
  const sources = new Sources(runtime.broker)
  const writer = dryRun ? null : await runtime.broker.writer()
  const seen = new Set<string>()
  const counts = { sent: 0, repeated: 0, reread: 0, lost: 0, refused: 0 }
  const unsent = (kind: 'lost' | 'refused', at: LetterAt, why: string) => {
    counts[kind]++
    onUnsent({ ...at, why })
  }
  const send = async (at: LetterAt, record: OutputRecord): Promise<void> => {
    try {
      await writer?.send([record])
      counts.sent++
      if (at.letter.truncated) counts.reread++
    } catch (error) {
      if (!(error instanceof MillraceError) || !REFUSALS.has(error.code)) throw error
      unsent('refused', at, error.message)
    }
  }
  try {
    const read = await readLetters(runtime, options, async (letters) => {
      const sending: Promise<void>[] = []
      for (const at of letters) {
        const identity = identityOf(at.letter)
        if (seen.has(identity)) counts.repeated++
        else {
          seen.add(identity)
          const record = await sources.recordOf(at.letter)
          if (typeof record === 'string') unsent(at.letter.truncated ? 'lost' : 'refused', at, record)
          // Sent apart, so that one the topic refuses fails alone; the writer keeps their order and packs them together.
          else sending.push(send(at, record))
        }
      }
      const failed = (await Promise.allSettled(sending)).find(({ status }) => status === 'rejected')
      if (failed?.status === 'rejected') throw failed.reason
    })
    return { ...read, ...counts }
  } finally {
    await writer?.close()
  }
}

const REFUSALS: ReadonlySet<ErrorCode> = new Set(['MESSAGE_TOO_LARGE', 'MISSING_TOPIC'])

/** Equal for letters of equal records: 132 bits of their hash. */
const identityOf = ({ topic, key, valueLength, valueSha256 }: DeadLetter): string =>
  createHash('sha256')
    .update(JSON.stringify([topic, valueLength, valueSha256, key === null]))
    .update(key ?? '')
    .digest('base64url')
    .slice(0, 22)

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** The topics that letters came from. */
class Sources {
  private readonly broker: Runtime['broker']
  private readonly offsets = new Map<string, readonly TopicOffsets[]>()

  constructor(broker: Runtime['broker']) {
    this.broker = broker
  }

  /** The record to be sent, or why there is none. */
  async recordOf(letter: DeadLetter): Promise<OutputRecord | string> {
    const { topic, partition, offset } = letter
    const offsets = await this.offsetsOf(topic)
    if (offsets.length === 0) return `there is no topic ${topic} any more`
    const headers = { [REPLAYED_HEADER]: Buffer.from(`${topic}/${partition}/${offset}`) }
    // The same partition, too: keys may be null, or dealt out by a rule of the user's own.
    const place = offsets.some((ends) => ends.partition === partition) ? { topic, partition } : { topic }
    if (!letter.truncated) return { ...place, key: letter.key, value: letter.value, headers }
    const record = await this.readAgain(letter)
    if (record === null) return `${topic}/${partition}/${offset} no longer holds the record`
    return { ...place, key: record.key, value: record.value, headers: { ...record.headers, ...headers } }
  }

  private async offsetsOf(topic: string): Promise<readonly TopicOffsets[]> {
    const known = this.offsets.get(topic)
    if (known !== undefined) return known
    const found = await this.broker.admin.offsets(topic).catch((error: unknown) => {
      if (error instanceof MillraceError && error.code === 'MISSING_TOPIC') return []
      throw error
    })
    this.offsets.set(topic, found)
    return found
  }

  /** The record of a letter at its source; null where it is gone, or another one lies there. */
  private async readAgain(letter: DeadLetter): Promise<ConsumedRecord | null> {
    const { topic, partition, offset, valueLength, valueSha256 } = letter
    const ends = (await this.offsetsOf(topic)).find((other) => other.partition === partition)
    if (ends === undefined || offset < ends.earliest || offset >= ends.latest) return null
    const found: ConsumedRecord[] = []
    const range = { topic, from: new Map([[partition, offset]]), to: new Map([[partition, offset + 1]]) }
    try {
      await this.broker.read(range, ({ records }) => {
        found.push(...records.filter((record) => record.offset === offset))
      })
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'OFFSET_OUT_OF_RANGE') throw error
    }
    const [record] = found
    const same =
      (record?.value?.length ?? -1) === valueLength &&
      (record?.value == null ? '' : sha256(record.value)) === valueSha256
    return record !== undefined && same ? record : null
  }
}
