/** Runs pipelines together in one process until they are stopped or one of them fails. */
import { fromEvent, lastValueFrom, merge, shareReplay, take, tap } from 'rxjs'
import type { Config } from '../infra/config/schema.ts'
import { MillraceError } from '../schemas/errors.ts'
import { attribute } from './attribute.ts'
import { challenge } from './challenge.ts'
import { decide } from './decide.ts'
import type { Pipeline } from './delivery/job.ts'
import { publishMetrics } from './process/publish-metrics.ts'
import type { Progress, Runtime } from './process/runtime.ts'
import { record } from './record.ts'
import { retrain } from './retrain.ts'
import { serve } from './serve.ts'
import { tag } from './tag.ts'

/** What `all` stands for: the jobs that topics alone drive, those of documents where they are configured. */
export const STREAMS: Readonly<Record<string, Pipeline>> = { decide, attribute, record }
export const DOCUMENT_STREAMS: Readonly<Record<string, Pipeline>> = { tag, retrain }

export const PIPELINES: Readonly<Record<string, Pipeline>> = {
  ...STREAMS,
  ...DOCUMENT_STREAMS,
  challenge,
  serve,
}

const allOf = ({ tag }: Pick<Config, 'tag'>): string[] => [
  ...Object.keys(STREAMS),
  ...(tag === undefined ? [] : Object.keys(DOCUMENT_STREAMS)),
]

/**
 * The pipelines of these names, each once.
 * @param config says what `all` stands for
 * @throws MillraceError INVALID_CONFIG for a name that none has, and for one whose part of the configuration is missing
 */
export const pipelinesNamed = (names: readonly string[], config: Pick<Config, 'tag'> = {}): Pipeline[] =>
  [...new Set(names.flatMap((name) => (name === 'all' ? allOf(config) : name)))].map((name) => {
    const pipeline = Object.hasOwn(PIPELINES, name) ? PIPELINES[name] : undefined
    if (pipeline !== undefined) return pipeline
    const known = Object.keys(PIPELINES).join(', ')
    throw new MillraceError('INVALID_CONFIG', `there is no pipeline "${name}": there are ${known}`)
  })

/** Resolves when `stop` has aborted and everything under way is committed; rejects with what stopped a pipeline. */
export const runPipelines = async (
  runtime: Runtime,
  pipelines: readonly Pipeline[],
  stop: AbortSignal,
  onProgress: (progress: Progress) => void = () => {},
): Promise<void> => {
  if (stop.aborted) return
  const stopped = fromEvent(stop, 'abort').pipe(take(1), shareReplay(1))
  const running = merge(...pipelines.map((pipeline) => pipeline.run(runtime, stopped)))
  await lastValueFrom(running.pipe(tap(onProgress)), { defaultValue: null })
}

/** `runPipelines`, with the process's own numbers written to `metrics` beside them. */
export const runWithMetrics = async (
  runtime: Runtime,
  pipelines: readonly Pipeline[],
  stop: AbortSignal,
  onProgress?: (progress: Progress) => void,
): Promise<void> => {
  const ended = new AbortController()
  const publishing = publishMetrics(runtime, AbortSignal.any([stop, ended.signal]))
  try {
    await runPipelines(runtime, pipelines, stop, onProgress)
  } finally {
    ended.abort()
    await publishing
  }
}
