/**
 * challenge: outcomes → figures of the challengers, in `metrics`. Shadow versions of a policy see the outcomes that its live version earns, each with its
 * request, are judged by them (progressive evaluation, and a test that may be looked at any time) and learn them. Where it is configured, a challenger
 * that its test calls better is promoted.
 *
 * Whoever owns the partition of a policy's (first) outcomes in the group `challenge` does so; the task is that ownership and nothing more, so its first batch is
 * held and nothing is committed. Figures are written at least once: a moment's numbers, beside the pipelines.
 */
import {
  auditTime,
  concat,
  concatMap,
  defer,
  distinctUntilChanged,
  EMPTY,
  endWith,
  finalize,
  from,
  groupBy,
  ignoreElements,
  map,
  mergeMap,
  type Observable,
  startWith,
  switchMap,
  takeUntil,
  tap,
} from 'rxjs'
import type { Writer } from '../infra/kafka/port.ts'
import { PolicyTable } from '../operators/bandits/state/policy-table.ts'
import { KEYS } from '../schemas/catalogue.ts'
import type { Metric, PolicyDefinition } from '../schemas/generated/events.ts'
import { challengeTopic, PolicyChallenge } from './challenge/policy-challenge.ts'
import { job, type Pipeline } from './delivery/job.ts'
import { type Progress, type Runtime, topicOf } from './process/runtime.ts'
import { follow } from './states/follow.ts'
import { followDefinitions, same } from './states/follow-policies.ts'
import { partitionsOf } from './states/snapshot-log.ts'

/** Outcomes of one batch: their requests are held at once. */
const BATCH = 500

export const challenge: Pipeline = {
  name: 'challenge',
  run: (runtime, stop) =>
    defer(async () => {
      await runtime.codec.prepare(['metric', 'policy-definition'])
      return runtime.broker.writer()
    }).pipe(
      takeUntil(stop),
      switchMap((writer) =>
        job(runtime, 'challenge', stop, {
          topics: [challengeTopic(runtime)],
          maxBatchRecords: 1,
          chain: (task, metrics) => (batches) => {
            const ended = batches.pipe(
              // The position of this job says nothing: as a lag it would mislead.
              tap(() => metrics.forget(task.partition)),
              ignoreElements(),
              endWith(null),
            )
            return challengesIn(runtime, writer, task.partition).pipe(takeUntil(ended))
          },
        }).pipe(finalize(() => void writer.close().catch(() => {}))),
      ),
    ),
}

/** The challenges of the policies whose first outcomes lie in a partition, each begun anew when the policy's versions change. */
const challengesIn = (runtime: Runtime, writer: Writer, partition: number): Observable<Progress> =>
  defer(() => runtime.broker.admin.offsets(challengeTopic(runtime))).pipe(
    switchMap(({ length }) =>
      followDefinitions(runtime).pipe(
        mergeMap((definitions) => from(policiesIn(definitions, partition, length))),
        groupBy(({ name }) => name),
        mergeMap((policy) =>
          policy.pipe(
            map(({ own }) => own),
            distinctUntilChanged(same),
            switchMap((own) => challengePolicy(runtime, writer, own)),
          ),
        ),
      ),
    ),
  )

/** The versions of every policy that is judged here; none of the others. */
const policiesIn = (
  definitions: readonly PolicyDefinition[],
  partition: number,
  partitions: number,
): { name: string; own: PolicyDefinition[] }[] =>
  [...new PolicyTable(definitions)].map((live) => {
    const here = partitionsOf(live, partitions)[0] === partition
    return { name: live.name, own: here ? definitions.filter(({ policy }) => policy === live.name) : [] }
  })

/** Judges a policy's challengers up to the present end, and then on, with their figures written as they change. */
const challengePolicy = (
  runtime: Runtime,
  writer: Writer,
  definitions: readonly PolicyDefinition[],
): Observable<Progress> => {
  if (!definitions.some(({ mode }) => mode === 'shadow')) return EMPTY
  const topic = challengeTopic(runtime)
  const metrics = runtime.metrics.job('challenge')
  return defer(() => runtime.broker.admin.offsets(topic)).pipe(
    switchMap((outcomes) => {
      const judged = new PolicyChallenge(runtime, definitions, outcomes)
      const [first] = judged.challengers
      if (first === undefined) return EMPTY
      const { positions } = judged
      const followed = outcomes.filter(({ partition }) => positions.has(partition))
      const ends = new Map(followed.map(({ partition, latest }) => [partition, latest]))
      let received = 0
      const taken = (to?: ReadonlyMap<number, number>): Observable<null> =>
        defer(() => {
          const range = { topic, from: new Map(positions), ...(to === undefined ? {} : { to }) }
          return follow(runtime.broker, { ...range, maxBatchRecords: BATCH }, (batches) =>
            batches.pipe(
              concatMap(async (batch) => {
                const count = await judged.take(batch)
                metrics.received(count)
                received += count
                return null
              }),
            ),
          )
        })
      const tell = async (): Promise<Progress> => {
        const figures = judged.figures
        await writer.send(figures.map((figure) => recordOf(runtime, { ...figure, at: runtime.now() })))
        metrics.sent(figures.length)
        await judged.promoteDue()
        const told = { received, sent: { metric: figures.length } }
        received = 0
        const partition = [...positions.keys()][0]!
        return { pipeline: 'challenge', topic, partition, ...told, deadLetters: 0 }
      }
      const { policy } = first.definition
      const versions = judged.challengers.map(({ definition }) => definition.version)
      runtime.log.info({ policy, versions }, 'challengers are judged')
      return concat(
        taken(ends).pipe(ignoreElements()),
        defer(() => taken().pipe(startWith(null))).pipe(
          auditTime(runtime.config.metrics.interval),
          concatMap(tell),
        ),
      )
    }),
  )
}

const recordOf = ({ codec, config }: Runtime, metric: Metric) => ({
  topic: topicOf(config, 'metric'),
  key: Buffer.from(KEYS.metric(metric)),
  value: codec.encode('metric', metric),
})
