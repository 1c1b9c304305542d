/**
 * The transaction coordinator of the in-memory broker. A transactional id has an epoch: initialising a producer under it aborts what
 * its former owner left open and raises the epoch, after which that owner is fenced. Outputs and positions of a transaction take
 * effect together when it commits.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { PartitionLog } from './log.ts'

interface TransactionalId {
  epoch: number
  open: Transaction | null
}

/** One open transaction. */
export class Transaction {
  readonly #logs = new Set<PartitionLog>()
  #effects: (() => void)[] = []
  #ended = false

  get ended(): boolean {
    return this.#ended
  }

  /** Notes partitions where records were appended. */
  touched(logs: readonly PartitionLog[]): void {
    for (const log of logs) this.#logs.add(log)
  }

  /** Something to be done when the transaction commits: positions. */
  onCommit(effect: () => void): void {
    this.#effects.push(effect)
  }

  end(committed: boolean): void {
    if (this.#ended) return
    this.#ended = true
    // Positions first: whoever is woken by the outputs finds them there.
    if (committed) for (const effect of this.#effects) effect()
    this.#effects = []
    for (const log of this.#logs) log.endTransaction(this, committed)
  }
}

export class TransactionCoordinator {
  readonly #ids = new Map<string, TransactionalId>()

  /** Initialises a producer under an id and gives its epoch. Fences the former owner, whose open transaction is aborted. */
  initialise(id: string): number {
    const state = this.#ids.get(id) ?? { epoch: -1, open: null }
    this.#ids.set(id, state)
    state.open?.end(false)
    state.open = null
    return ++state.epoch
  }

  /** @throws MillraceError PRODUCER_FENCED where the epoch is no longer the id's. */
  check(id: string, epoch: number): void {
    if (this.#ids.get(id)?.epoch !== epoch)
      throw new MillraceError('PRODUCER_FENCED', `another producer has taken over '${id}'`)
  }

  /** @throws MillraceError PRODUCER_FENCED */
  begin(id: string, epoch: number): Transaction {
    this.check(id, epoch)
    const transaction = new Transaction()
    this.#ids.get(id)!.open = transaction
    return transaction
  }

  /** @throws MillraceError PRODUCER_FENCED: the transaction was then aborted before. */
  end(id: string, epoch: number, committed: boolean): void {
    this.check(id, epoch)
    const state = this.#ids.get(id)!
    state.open?.end(committed)
    state.open = null
  }

  /** Aborts what is open under an id after its time-out, and fences its owner, as Kafka does. */
  expire(id: string, epoch: number, timeoutMs: number): void {
    setTimeout(() => {
      const state = this.#ids.get(id)
      if (state?.epoch === epoch && state.open !== null) this.initialise(id)
    }, timeoutMs).unref()
  }
}
