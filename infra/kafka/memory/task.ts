/**
 * A task of the in-memory broker: the partitions of one number, read in turn, one batch at a time, and the transaction that
 * moves outputs and positions. Each batch comes on its own turn of the event loop, so that a busy task starves nobody.
 */
import { Observable, type Subscriber } from 'rxjs'
import { MillraceError } from '../../../schemas/errors.ts'
import { Silence } from '../adapter/silence.ts'
import {
  type Batch,
  METADATA_LIMIT,
  type Position,
  type Task,
  type TaskCommit,
  type TaskGroupOptions,
} from '../port.ts'
import type { MemoryCluster } from './cluster.ts'
import type { Group } from './group.ts'
import type { PartitionLog } from './log.ts'
import type { Topic } from './topic.ts'

/**
 * What can befall a commit once everything was sent: the request to end it is lost (the transaction stays open), the reply is lost
 * (it is committed), or the process dies there.
 */
export type Fault = 'request-lost' | 'reply-lost' | 'crash'

export interface TaskSetting {
  readonly cluster: MemoryCluster
  readonly group: Group
  readonly topics: readonly Topic[]
  readonly options: TaskGroupOptions
  readonly partition: number
  /** Gives the task up, so that the group deals it again. */
  readonly lose: (task: MemoryTask) => void
  /** Asked in every commit, after everything was sent and before the end. */
  readonly fault: (transactionalId: string) => Fault | undefined
  /** Ends the process, as far as the cluster can tell. */
  readonly crash: () => void
}

interface Input {
  readonly topic: Topic
  readonly log: PartitionLog
  readonly silence: Silence
  next: number
}

const DEFAULT_BATCH_RECORDS = 1000
/** Longest wait before silence is looked at again. */
const LOOK_MS = 100
const DEFAULT_TRANSACTION_TIMEOUT_MS = 10_000

export class MemoryTask implements Task {
  readonly job: string
  readonly partition: number
  readonly committed: ReadonlyMap<string, Position>
  readonly batches: Observable<Batch>
  readonly #setting: TaskSetting
  readonly #transactionalId: string
  readonly #epoch: number
  readonly #inputs: readonly Input[]
  readonly #unwatch: readonly (() => void)[]
  #subscriber: Subscriber<Batch> | null = null
  /** Index of the input to look at first. */
  #turn = 0
  /** A batch is out. */
  #busy = false
  #scheduled = false
  #looking: NodeJS.Timeout | undefined
  /** When an idle batch was last emitted for silence, and since when nothing has come. */
  #idleAt = Number.NEGATIVE_INFINITY
  #since = Number.NaN
  /** Why there are no more batches; null where the task was closed in order. */
  #ended: MillraceError | null | undefined

  /** Opens the task: fences the former owner, then reads the positions. */
  constructor(setting: TaskSetting) {
    const { cluster, group, topics, options, partition } = setting
    this.#setting = setting
    this.job = options.job
    this.partition = partition
    this.#transactionalId = `${options.app}-${options.job}-${partition}`
    this.#epoch = cluster.transactions.initialise(this.#transactionalId)
    const committed = new Map<string, Position>()
    this.#inputs = topics.map((topic) => {
      const log = topic.log(partition)
      const position = group.position(topic.name, partition)
      if (position !== undefined) committed.set(topic.name, position)
      return { topic, log, silence: new Silence(), next: position?.offset ?? log.earliest }
    })
    this.committed = committed
    this.#unwatch = this.#inputs.map(({ log, silence }) =>
      log.watch(() => {
        silence.broken()
        this.#pull()
      }),
    )
    this.batches = new Observable((subscriber) => {
      this.#subscriber = subscriber
      if (this.#ended !== undefined) {
        this.#finish()
        return
      }
      this.#pull()
      return () => {
        if (this.#subscriber === subscriber) this.#subscriber = null
        clearTimeout(this.#looking)
      }
    })
  }

  async commit(commit: TaskCommit): Promise<void> {
    this.#commit(commit)
    this.release()
  }

  async checkpoint(commit: TaskCommit): Promise<void> {
    this.#commit(commit)
  }

  release(): void {
    this.#busy = false
    this.#pull()
  }

  /** Ends the batches: in order where `error` is null. Later commits are refused. */
  close(error: MillraceError | null): void {
    if (this.#ended !== undefined) return
    this.#ended = error
    clearTimeout(this.#looking)
    for (const unwatch of this.#unwatch) unwatch()
    this.#finish()
  }

  #finish(): void {
    if (this.#ended === null) this.#subscriber?.complete()
    else this.#subscriber?.error(this.#ended)
  }

  #pull(): void {
    if (this.#scheduled || this.#busy || this.#subscriber === null || this.#ended !== undefined) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (!this.#busy && this.#subscriber !== null && this.#ended === undefined) this.#deliver()
    })
  }

  /** Emits the next batch of the first input that has one; each input has its turn. */
  #deliver(): void {
    const count = this.#inputs.length
    for (let step = 0; step < count; step++) {
      const turn = (this.#turn + step) % count
      const input = this.#inputs[turn]!
      const { topic, log } = input
      if (input.next < log.earliest || input.next > log.end) {
        const range = `[${log.earliest}, ${log.end}]`
        const where = `${topic.name}/${this.partition}`
        const message = `position ${input.next} of ${where} is outside ${range}`
        this.close(new MillraceError('OFFSET_OUT_OF_RANGE', message))
        return
      }
      const max = this.#setting.options.maxBatchRecords ?? DEFAULT_BATCH_RECORDS
      const { records, nextOffset } = log.read(input.next, max)
      input.next = nextOffset
      if (records.length === 0) continue
      this.#turn = (turn + 1) % count
      const highWatermark = log.stable
      this.#emit({ topic: topic.name, partition: this.partition, records, nextOffset, highWatermark })
      return
    }
    this.#deliverIdle()
  }

  /** Emits a batch without records where one is due: all inputs are silent, or a tick has passed; else looks again in a while. */
  #deliverIdle(): void {
    const { idleMs = Number.POSITIVE_INFINITY, tickMs = Number.POSITIVE_INFINITY } = this.#setting.options
    const now = performance.now()
    if (Number.isNaN(this.#since)) this.#since = now
    const silent = this.#silent()
    const idle = silent.length === this.#inputs.length && now - this.#idleAt >= idleMs
    if (idle) this.#idleAt = now
    if (idle || now - this.#since >= tickMs) {
      const { partition } = this
      this.#emit({ topic: '', partition, records: [], nextOffset: -1, highWatermark: -1, idle: true })
      return
    }
    const least = Math.min(idleMs, tickMs)
    if (least === Number.POSITIVE_INFINITY) return
    clearTimeout(this.#looking)
    this.#looking = setTimeout(() => this.#pull(), Math.min(least / 4, LOOK_MS))
  }

  /** Topics of the inputs that are silent. Nothing but the log itself need be asked. */
  #silent(): string[] {
    const { idleMs } = this.#setting.options
    if (idleMs === undefined) return []
    const now = performance.now()
    for (const { next, log, silence } of this.#inputs) {
      if (next >= log.end) silence.confirmed(now, now)
      else silence.broken()
    }
    return this.#inputs.filter(({ silence }) => silence.lasts(idleMs, now)).map(({ topic }) => topic.name)
  }

  #emit(batch: Batch): void {
    clearTimeout(this.#looking)
    this.#since = Number.NaN
    this.#busy = true
    const silent = this.#silent()
    this.#subscriber?.next(silent.length > 0 ? { ...batch, silent } : batch)
  }

  /** One transaction. Nothing in it waits, so a commit is never half seen, and none is under way when a member leaves. */
  #commit({ outputs, positions }: TaskCommit): void {
    const { cluster, group, options, fault, crash } = this.#setting
    for (const [topic, { metadata = '' }] of positions) {
      const length = Buffer.byteLength(metadata)
      if (length > METADATA_LIMIT)
        throw new MillraceError(
          'METADATA_TOO_LARGE',
          `metadata of ${length} bytes for ${topic}/${this.partition}; the limit is ${METADATA_LIMIT}`,
        )
    }
    const id = this.#transactionalId
    try {
      const transaction = cluster.transactions.begin(id, this.#epoch)
      if (this.#ended !== undefined)
        throw new MillraceError('STALE_GENERATION', `task ${this.job}/${this.partition} was given up`)
      try {
        cluster.write(outputs, transaction)
        for (const [name, { offset, metadata = '' }] of positions) {
          const input = this.#inputs.find(({ topic }) => topic.name === name)
          if (input === undefined) throw new Error(`'${name}' is no input of job '${this.job}'`)
          transaction.onCommit(() => group.commit(input.topic, this.partition, { offset, metadata }))
        }
      } catch (refused) {
        // The batch stays open: it may be committed without what was refused.
        cluster.transactions.end(id, this.#epoch, false)
        throw refused
      }
      const happened = fault(id)
      if (happened === 'reply-lost') cluster.transactions.end(id, this.#epoch, true)
      if (happened !== undefined) {
        const timeout = options.transactionTimeoutMs ?? DEFAULT_TRANSACTION_TIMEOUT_MS
        cluster.transactions.expire(id, this.#epoch, timeout)
        if (happened === 'crash') crash()
        throw happened === 'crash'
          ? new MillraceError('KAFKA_UNAVAILABLE', 'this process has died')
          : new MillraceError('COMMIT_UNKNOWN', `the end of a transaction of '${id}' was not answered`)
      }
      cluster.transactions.end(id, this.#epoch, true)
    } catch (error) {
      if (error instanceof MillraceError && LOSING.has(error.code)) {
        const held = this.#ended === undefined
        this.close(error)
        if (held) this.#setting.lose(this)
      }
      throw error
    }
  }
}

const LOSING: ReadonlySet<string> = new Set(['PRODUCER_FENCED', 'STALE_GENERATION', 'COMMIT_UNKNOWN'])
