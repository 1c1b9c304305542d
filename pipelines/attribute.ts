/**
 * attribute: decisions and rewards → outcomes. Each decision meets its reward, once, when its window closes. What the join still waits for
 * is rebuilt from the topics themselves: how far back rides with the committed position.
 */
import { concatMap, defer, EMPTY, expand, from, of, switchMap, takeUntil, tap } from 'rxjs'
import type { Task } from '../infra/kafka/port.ts'
import type { JobMetrics } from '../infra/telemetry/metrics.ts'
import { liveDefinitions } from '../operators/bandits/state/policy-table.ts'
import { partsOf } from '../operators/bandits/state/split.ts'
import type { Outbound } from '../operators/streams/batch.ts'
import { JOIN_KINDS } from '../operators/streams/join-ledgers.ts'
import type { RewardJoin } from '../operators/streams/reward-join.ts'
import { MillraceError } from '../schemas/errors.ts'
import { type JoinEvent, JoinTask } from './attribute/join-task.ts'
import { deliver } from './delivery/delivery.ts'
import { decode, type Input, ownInput } from './delivery/inputs.ts'
import { job, type Pipeline } from './delivery/job.ts'
import { type Runtime, topicOf } from './process/runtime.ts'
import { readDefinitions } from './states/policies.ts'

export const attribute: Pipeline = {
  name: 'attribute',
  run: (runtime, stop) =>
    defer(async () => {
      await runtime.codec.prepare(['outcome', 'outcome-correction', 'ledger', 'dead-letter'])
      return { inputs: joinInputs(runtime), parts: await partsOfPolicies(runtime) }
    }).pipe(
      // Subscribed from the start, so that a stop meanwhile is not missed.
      takeUntil(stop),
      switchMap((setting) =>
        job(runtime, 'attribute', stop, {
          topics: setting.inputs.map(({ topic }) => topic),
          idleMs: runtime.config.join.idleTimeout,
          chain: (task, metrics) => (batches) => {
            const commit = deliver(runtime, 'attribute', task, metrics)
            const commitPart = deliver(runtime, 'attribute', heldOpen(task), metrics)
            return from(JoinTask.open(runtime, task, setting)).pipe(
              switchMap((joining) => {
                const part = (made: () => Promise<Outbound>) =>
                  defer(made).pipe(
                    concatMap((outbound) => of(outbound).pipe(joining.more ? commitPart : commit)),
                  )
                return batches.pipe(
                  decode(setting.inputs, runtime.log),
                  concatMap((inbound) =>
                    part(() => joining.take(inbound)).pipe(
                      expand(() => (joining.more ? part(() => joining.rest()) : EMPTY)),
                    ),
                  ),
                  tap(watchJoin(joining.join, task, metrics)),
                )
              }),
            )
          },
        }),
      ),
    ),
}

/** A task whose batch stays open while parts of what it closed are committed. */
const heldOpen = (task: Task): Task => ({
  job: task.job,
  partition: task.partition,
  committed: task.committed,
  batches: task.batches,
  commit: (commit) => task.checkpoint(commit),
  checkpoint: (commit) => task.checkpoint(commit),
  release: () => {},
})

/** Tells what waits and how the ledgers stand, and what has been dismissed since it was last asked. */
const watchJoin = (join: RewardJoin, task: Task, metrics: JobMetrics): (() => void) => {
  const dismissed = (): Map<string, number> => {
    const sums = new Map<string, number>()
    for (const kind of JOIN_KINDS)
      for (const [reason, count] of Object.entries(join.counts[kind].reasons))
        sums.set(reason, (sums.get(reason) ?? 0) + count)
    return sums
  }
  let told = dismissed()
  return () => {
    metrics.pending(task.partition, join.counts.decisions.pending)
    for (const kind of JOIN_KINDS) metrics.ledger(task.partition, kind, join.counts[kind])
    const now = dismissed()
    for (const [reason, count] of now) {
      const more = count - (told.get(reason) ?? 0)
      if (more > 0) metrics.reason(reason, more)
    }
    told = now
  }
}

/**
 * The inputs in a fixed order: a topic's place in it is its number in the join.
 * @throws MillraceError INVALID_CONFIG where a topic would be two of them.
 */
const joinInputs = (runtime: Runtime): Input<JoinEvent>[] => {
  const { config, codec } = runtime
  const inputs: Input<JoinEvent>[] = [
    ownInput(codec, topicOf(config, 'decision'), 'decision'),
    ...runtime.inputs('reward'),
    ...(config.join.activation === 'deferred' ? runtime.inputs('activation') : []),
  ]
  const topics = inputs.map(({ topic }) => topic)
  const twice = topics.find((topic, i) => topics.indexOf(topic) !== i)
  if (twice === undefined) return inputs
  throw new MillraceError(
    'INVALID_CONFIG',
    `sources: ${twice} brings two kinds of events to the join: each needs a topic of its own`,
  )
}

/** In how many parts the outcomes of each live policy are learned. */
const partsOfPolicies = async (runtime: Runtime): Promise<ReadonlyMap<string, number>> => {
  const live = liveDefinitions(await readDefinitions(runtime))
  return new Map([...live].map(([policy, { definition }]) => [policy, partsOf(JSON.parse(definition))]))
}
