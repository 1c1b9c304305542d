/**
 * The model that is served, followed in the topic `models`. Whoever tags asks for it batch by batch; a new one is loaded and made ready beside that, and then takes over by one
 * assignment. While one cannot be loaded the one before goes on, and the component `models` says so.
 */
import {
  catchError,
  concat,
  defer,
  distinctUntilChanged,
  EMPTY,
  from,
  map,
  merge,
  Observable,
  startWith,
  switchMap,
  takeUntil,
  timer,
} from 'rxjs'
import { openModelStore } from '../../infra/models/store.ts'
import { Tagger } from '../../operators/xmc/tag.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Model } from '../../schemas/generated/events.ts'
import { Remote } from '../process/remote.ts'
import { type Progress, type Runtime, topicOf } from '../process/runtime.ts'
import { follow } from '../states/follow.ts'
import { loadXmc } from '../xmc/model-folder.ts'
import { type ModelReading, type ModelVersions, readModel, takeRecords } from './model-log.ts'
import { modelDirectory, tagConfig } from './tag-config.ts'

const RETRY_MS = 30_000

/** Who tags now. */
export interface LiveModel {
  /** Null while no model is served. */
  readonly tagger: Tagger | null
}

/**
 * Runs `work` over the model that is served, once it is known and loaded, and keeps it up to date until `stop`.
 * @throws MillraceError SNAPSHOT_CORRUPT or SNAPSHOT_MISMATCH where the model served at the start cannot be used; what following throws
 */
export const withLiveModel = (
  runtime: Runtime,
  stop: Observable<unknown>,
  work: (live: LiveModel) => Observable<Progress>,
): Observable<Progress> =>
  defer(() => {
    const serving = new Serving(runtime)
    return from(readModel(runtime, serving.name)).pipe(
      takeUntil(stop),
      switchMap((reading) =>
        concat(
          serving.load(reading.versions.live).pipe(takeUntil(stop)),
          merge(
            defer(() => work(serving)),
            serving.follow(reading).pipe(takeUntil(stop)),
          ),
        ),
      ),
    )
  })

class Serving implements LiveModel {
  tagger: Tagger | null = null
  readonly name: string
  private readonly runtime: Runtime
  private readonly server: Remote

  constructor(runtime: Runtime) {
    this.runtime = runtime
    this.name = tagConfig(runtime.config).model
    const component = runtime.health.component('models')
    component.ready()
    this.server = new Remote({
      name: 'the model store',
      away: 'STORE_UNAVAILABLE',
      log: runtime.log,
      component,
    })
  }

  /** Takes up what is served from here on. */
  follow({ versions, partition, offset }: ModelReading): Observable<never> {
    const { broker, config } = this.runtime
    const topic = topicOf(config, 'model')
    const found = new Map<string, ModelVersions>([[this.name, versions]])
    return follow(broker, { topic, from: new Map([[partition, offset]]) }, (batches) =>
      batches.pipe(
        switchMap(({ records }) => takeRecords(this.runtime, partition, records, found)),
        map(() => versions.live),
      ),
    ).pipe(
      startWith(versions.live),
      distinctUntilChanged((a, b) => a?.version === b?.version && a?.sha256 === b?.sha256),
      switchMap((live) => this.loadBeside(live)),
    )
  }

  /** Loads a model and has it tag; emits nothing. @throws MillraceError SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH */
  load(live: Model | null): Observable<never> {
    if (live === null || this.tagger?.version === live.version) {
      if (live === null) this.serve(null)
      return EMPTY
    }
    return new Observable((subscriber) => {
      const unwanted = new AbortController()
      this.loaded(live, unwanted.signal).then(
        (tagger) => {
          if (unwanted.signal.aborted) return
          this.serve(tagger)
          subscriber.complete()
        },
        (error: unknown) => subscriber.error(error),
      )
      return () => unwanted.abort()
    })
  }

  private async loaded({ name, version, sha256 }: Model, signal: AbortSignal): Promise<Tagger> {
    const { config } = this.runtime
    const { top, beam } = tagConfig(config)
    const store = await openModelStore(modelDirectory(config, name))
    const model = await this.server.reach(() => loadXmc(store, sha256), signal)
    return new Tagger(model, { name, version, top, ...(beam === undefined ? {} : { beam }) })
  }

  /** As `load`; a model that cannot be used is told, and the one before goes on. */
  private loadBeside(live: Model | null): Observable<never> {
    const component = this.runtime.health.component('models')
    return defer(() => {
      component.ready()
      return this.load(live)
    }).pipe(
      catchError((error: unknown) => {
        if (!(error instanceof MillraceError)) throw error
        const { code, message } = error
        const what = `version ${live?.version} of model "${this.name}" cannot be used`
        this.runtime.log.error({ code }, `${what}, the one before goes on: ${message}`)
        component.failing(`${code}: ${what}: ${message}`)
        // Somebody may mend it, or a shared folder show it late.
        return timer(RETRY_MS).pipe(switchMap(() => this.loadBeside(live)))
      }),
    )
  }

  private serve(tagger: Tagger | null): void {
    const former = this.tagger?.version ?? 0
    this.tagger = tagger
    const version = tagger?.version ?? 0
    this.runtime.metrics.model(this.name).served(version)
    if (version !== former) this.runtime.log.info({ model: this.name, version, former }, 'another model tags')
  }
}
