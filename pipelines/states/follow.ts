/**
 * Following a topic without a committed position, by pull: the next batch is fetched when the chain has emitted for the last one. The chain
 * gives one value a batch.
 */
import { Observable, type OperatorFunction, Subject } from 'rxjs'
import type { Batch, Broker, ReadOptions } from '../../infra/kafka/port.ts'

export const follow = <T>(
  broker: Broker,
  options: ReadOptions,
  chain: OperatorFunction<Batch, T>,
): Observable<T> =>
  new Observable((subscriber) => {
    const stop = new AbortController()
    const batches = new Subject<Batch>()
    let done = () => {}
    const chained = batches.pipe(chain).subscribe({
      next: (value) => {
        subscriber.next(value)
        done()
      },
      error: (error: unknown) => subscriber.error(error),
    })
    const take = (batch: Batch) =>
      new Promise<void>((resolve) => {
        done = resolve
        batches.next(batch)
      })
    broker.read(options, take, stop.signal).then(
      () => subscriber.complete(),
      (error: unknown) => subscriber.error(error),
    )
    return () => {
      stop.abort()
      chained.unsubscribe()
      // A batch under way is let go, so that the reader can end.
      done()
    }
  })
