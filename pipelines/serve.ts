/**
 * serve: answers over HTTP. Follows `outcomes` as decide does, decides requests as they come in over the process's port, and appends each decision with
 * its request to `decisions`, rewards and activations to their topics, through a bounded queue. At the end it takes no more and writes what waits.
 */
import { defer, firstValueFrom, ignoreElements, type Observable, switchMap, takeUntil } from 'rxjs'
import type { MillraceError } from '../schemas/errors.ts'
import type { Pipeline } from './delivery/job.ts'
import { Remote, unlessAborted } from './process/remote.ts'
import { type Runtime, topicOf } from './process/runtime.ts'
import { Answers } from './serve/answers.ts'
import { WriteQueue } from './serve/write-queue.ts'
import { withStates } from './states/followed.ts'
import type { States } from './states/learn.ts'

/** What is written. */
const WRITTEN = ['decision', 'reward', 'activation'] as const

/** Share of the grace that the queue has for its end; the rest is for what comes after. */
const DRAIN_SHARE = 1 / 4

export const serve: Pipeline = {
  name: 'serve',
  run: (runtime, stop) => {
    runtime.health.component('serve')
    return defer(() => runtime.codec.prepare([...WRITTEN, 'decision-request'])).pipe(
      takeUntil(stop),
      switchMap(() =>
        withStates(runtime, stop, (states) =>
          defer(() => answer(runtime, states, stop)).pipe(ignoreElements()),
        ),
      ),
    )
  },
}

/** Answers until `stop`, or until a write fails for good. @throws MillraceError with which it failed */
const answer = async (runtime: Runtime, states: States, stop: Observable<unknown>): Promise<void> => {
  const { broker, config, endpoint, health, log, metrics } = runtime
  const { queue: maxRecords, queueBytes: maxBytes, linger, patience } = config.serve
  const writer = await broker.writer()
  const kafka = new Remote({ name: 'Kafka', away: 'KAFKA_UNAVAILABLE', log })
  const queue = new WriteQueue({
    write: (records, signal) =>
      unlessAborted(
        kafka.reach(() => writer.send(records), signal),
        signal,
      ),
    maxRecords,
    maxBytes,
    lingerMs: linger,
    patienceMs: patience,
    onLength: metrics.service.queued,
    onLost: (count, error) => {
      metrics.service.lost(count)
      log.error({ count, ...said(error) }, 'records that were answered for are lost')
    },
  })
  const answers = new Answers(runtime, states, queue, await recordLimits(runtime))
  endpoint.service = answers
  health.component('serve').ready()
  try {
    await Promise.race([firstValueFrom(stop, { defaultValue: null }), queue.failure()])
  } finally {
    if (endpoint.service === answers) endpoint.service = null
    await queue.drain(config.shutdown.grace * DRAIN_SHARE)
    await writer.close()
  }
}

const said = (error: MillraceError | undefined) =>
  error === undefined ? {} : { code: error.code, error: error.message }

/** The largest record that each topic takes which is written to. */
const recordLimits = async ({ broker, config, sinks }: Runtime): Promise<Map<string, number>> => {
  const limits = new Map<string, number>()
  const users = sinks.filter(({ event }) => event === 'decision').map(({ topic }) => topic)
  for (const topic of [...WRITTEN.map((event) => topicOf(config, event)), ...users])
    limits.set(topic, await broker.admin.maxMessageBytes(topic))
  return limits
}
