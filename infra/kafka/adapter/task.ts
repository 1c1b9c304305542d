/**
 * One owned task. It holds a producer under the stable transactional id, initialised before the committed positions were read, and a
 * fetcher that begins there. The initialisation fences whoever owned the task before: of two owners, at most one can commit, and
 * what the other did is gone. A task once lost stays lost; its successor starts from what was committed.
 *
 * An end that was not acknowledged may have happened: COMMIT_UNKNOWN. So it is with a commit that a task taken away does not finish in
 * time: whoever owns the task next initialises its producer first, which settles what became of it.
 */
import { Observable, type Subscriber } from 'rxjs'
import { MillraceError } from '../../../schemas/errors.ts'
import { type Batch, METADATA_LIMIT, type Position, type Task, type TaskCommit } from '../port.ts'
import type { Fetcher, Patience, Transactor } from './driver.ts'
import type { Packer } from './packing.ts'

export interface OpenedTask {
  readonly job: string
  readonly partition: number
  readonly committed: ReadonlyMap<string, Position>
  readonly transactor: Transactor
  readonly fetcher: Fetcher
  readonly packer: Packer
  readonly patience: Patience
  readonly revokeTimeoutMs: number
  /** Told once when the task is lost: fenced, a commit in doubt, or inputs that cannot be read. */
  readonly onLost: (task: OwnedTask, error: MillraceError) => void
}

const revoked = () => new MillraceError('STALE_GENERATION', 'the task is no longer owned by this member')

export class OwnedTask implements Task {
  readonly job: string
  readonly partition: number
  readonly committed: ReadonlyMap<string, Position>
  readonly batches: Observable<Batch>
  readonly #opened: OpenedTask
  #subscriber: Subscriber<Batch> | undefined
  /** Lets the next batch come; undefined while none is out. */
  #proceed: (() => void) | undefined
  #ended = false
  #failure: MillraceError | undefined
  #committing: Promise<void> = Promise.resolve()
  /** Fails the commit under way at once. */
  #abandon = () => {}

  constructor(opened: OpenedTask) {
    this.job = opened.job
    this.partition = opened.partition
    this.committed = opened.committed
    this.#opened = opened
    this.batches = new Observable((subscriber) => {
      if (this.#failure) subscriber.error(this.#failure)
      else if (this.#ended) subscriber.complete()
      else if (this.#subscriber) subscriber.error(new Error('a task has one subscriber'))
      else {
        this.#subscriber = subscriber
        void this.#deliver(subscriber)
      }
    })
  }

  commit(commit: TaskCommit): Promise<void> {
    return this.#transact(commit, true)
  }

  checkpoint(commit: TaskCommit): Promise<void> {
    return this.#transact(commit, false)
  }

  release(): void {
    this.#proceed?.()
  }

  /** Ends the task for this member: completes its batches; resolves when a commit under way is through or out of time. */
  async end(): Promise<void> {
    if (!this.#ended) {
      this.#ended = true
      this.#subscriber?.complete()
      this.#proceed?.()
    }
    const { transactor, fetcher, revokeTimeoutMs } = this.#opened
    let late = false
    const limit = setTimeout(() => {
      late = true
      this.#abandon()
    }, revokeTimeoutMs)
    await this.#committing.catch(() => {})
    clearTimeout(limit)
    const closing = Promise.all([transactor.close(), fetcher.close()])
    // Who did not answer for so long will not say farewell.
    if (!late) await closing
  }

  async #deliver(subscriber: Subscriber<Batch>): Promise<void> {
    try {
      while (!this.#ended && !subscriber.closed) {
        const batch = await this.#opened.fetcher.next()
        if (!batch || this.#ended) return
        const done = new Promise<void>((resolve) => {
          this.#proceed = resolve
        })
        subscriber.next(batch)
        await done
        this.#proceed = undefined
      }
    } catch (error) {
      this.#lose(this.#opened.patience.toMillraceError(error, 'KAFKA_UNAVAILABLE'))
    }
  }

  #lose(error: MillraceError): void {
    if (this.#ended) return
    this.#ended = true
    this.#failure = error
    this.#opened.onLost(this, error)
    this.#subscriber?.error(error)
    this.#proceed?.()
  }

  async #transact(commit: TaskCommit, proceed: boolean): Promise<void> {
    const before = this.#committing
    const own = before.catch(() => {}).then(() => this.#attempt(commit))
    this.#committing = own
    await own
    if (proceed) this.#proceed?.()
  }

  #attempt(commit: TaskCommit): Promise<void> {
    return new Promise((done, failed) => {
      this.#abandon = () => {
        const { job, partition } = this
        const message = `the commit of ${job}/${partition} was not answered in time when the task was taken away`
        failed(new MillraceError('COMMIT_UNKNOWN', message))
      }
      this.#send(commit).then(done, failed)
    })
  }

  async #send({ outputs, positions }: TaskCommit): Promise<void> {
    if (this.#ended) throw this.#failure ?? revoked()
    for (const [topic, { metadata = '' }] of positions) {
      const bytes = Buffer.byteLength(metadata)
      if (bytes > METADATA_LIMIT)
        throw new MillraceError(
          'METADATA_TOO_LARGE',
          `the metadata of ${topic}/${this.partition} has ${bytes} bytes, more than ${METADATA_LIMIT}`,
        )
    }
    if (outputs.length === 0 && positions.size === 0) return
    const rounds = outputs.length > 0 ? await this.#opened.packer.pack(outputs) : []
    if (this.#ended) throw this.#failure ?? revoked()
    try {
      await this.#opened.transactor.transact(positions, rounds)
    } catch (error) {
      const failure = this.#opened.patience.toMillraceError(error, 'COMMIT_UNKNOWN')
      this.#lose(failure)
      throw failure
    }
  }
}
