/**
 * The states of the policies for all pipelines of a process that read them: opened once, followed to the end that was there, then followed on with
 * snapshots taken, for as long as whoever asked first does.
 */
import {
  concat,
  defer,
  finalize,
  merge,
  mergeMap,
  type Observable,
  of,
  ReplaySubject,
  retry,
  switchMap,
  takeUntil,
  tap,
  throwError,
  timer,
} from 'rxjs'
import { codeOf } from '../../schemas/errors.ts'
import type { Progress, Runtime } from '../process/runtime.ts'
import { learnOn } from './follow-policies.ts'
import { learnFrom, openStates, type States } from './learn.ts'
import { takeSnapshots } from './snapshots.ts'

/** Between two tries to follow while Kafka is away. */
const PAUSE_MS = 1_000

const followed = new WeakMap<Runtime, Observable<States>>()

/**
 * Runs `work` over the states once they have caught up. Whoever is first also gives the progress of their snapshots.
 * @throws MillraceError what opening and following throw
 */
export const withStates = (
  runtime: Runtime,
  stop: Observable<unknown>,
  work: (states: States) => Observable<Progress>,
): Observable<Progress> => {
  const known = followed.get(runtime)
  if (known !== undefined) return known.pipe(mergeMap(work))
  const states = new ReplaySubject<States>(1)
  followed.set(runtime, states)
  return followStates(runtime, stop).pipe(
    tap({ error: (error: unknown) => states.error(error), complete: () => states.complete() }),
    mergeMap((each) => {
      if (!('table' in each)) return of(each)
      states.next(each)
      return work(each)
    }),
    finalize(() => followed.delete(runtime)),
  )
}

/** Emits the states when they have caught up, and then the progress of their snapshots until `stop`. */
const followStates = (runtime: Runtime, stop: Observable<unknown>): Observable<States | Progress> =>
  defer(async () => {
    await runtime.codec.prepare(['snapshot'])
    return openStates(runtime)
  }).pipe(
    // Subscribed from the start, so that a stop meanwhile is not missed.
    takeUntil(stop),
    switchMap(({ states, ends }) => {
      const component = runtime.health.component('policies')
      component.failing('the policies are catching up with their outcomes')
      const catchUp = learnFrom(runtime, states, ends).pipe(
        takeUntil(stop),
        finalize(() => component.ready()),
      )
      const learning = defer(() => learnOn(runtime, states)).pipe(whileAway(runtime), takeUntil(stop))
      const snapshots = defer(() => takeSnapshots(runtime, states, stop)).pipe(whileAway(runtime))
      return concat(
        catchUp,
        defer(() => merge(of(states), learning, snapshots)),
      )
    }),
  )

/** States that fall behind are of use still: whoever only reads them goes on without Kafka. */
const whileAway = ({ health, log }: Runtime) =>
  retry<never | Progress>({
    delay: (error: unknown) => {
      if (codeOf(error, 'INVALID_EVENT') !== 'KAFKA_UNAVAILABLE') return throwError(() => error)
      log.warn({ error }, 'the outcomes cannot be followed: trying again')
      // Only the job that takes snapshots has said that it failed, and nobody's answer waits for those.
      health.component('learn').ready()
      return timer(PAUSE_MS)
    },
  })
