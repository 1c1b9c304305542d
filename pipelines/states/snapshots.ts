/**
 * Snapshots: a policy's state as bytes in the model store, and the record in the compacted topic `snapshots` that says where they lie and up
 * to which offsets of `outcomes` they have learned. A start then learns again only what lies behind the newest one (restore.ts).
 *
 * Every decider holds every state, and one must write: whoever owns the partition of a policy's (first) outcomes in the group `learn`. The task is
 * that ownership and nothing more, so its first batch is held and no outcome is fetched twice; the state is the decider's own. Bytes first,
 * then the record, committed with the task's position: a former owner's commit is refused, and a record never names bytes that were not
 * written whole. Each state of a policy has four slots; the one with the oldest snapshot is written next.
 *
 * A snapshot is due when `snapshots.every` records have been followed behind the last one. It costs a copy of the state, its checksums and two syncs
 * of the disk; the loop stands still for the copy, the hash and the CRC in turn, some 20 ms each for 13 MB.
 */
import {
  defer,
  endWith,
  exhaustMap,
  finalize,
  ignoreElements,
  merge,
  type Observable,
  of,
  takeUntil,
  tap,
} from 'rxjs'
import type { Task } from '../../infra/kafka/port.ts'
import { type ModelStore, openModelStore } from '../../infra/models/store.ts'
import type { LivePolicy } from '../../operators/bandits/state/policy-table.ts'
import { NUMERIC_KERNEL, SNAPSHOT_FORMAT } from '../../operators/bandits/state/snapshot-format.ts'
import { crc32 } from '../../operators/numerics/crc32.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Snapshot } from '../../schemas/generated/events.ts'
import { job } from '../delivery/job.ts'
import { Remote } from '../process/remote.ts'
import { type Progress, type Runtime, topicOf } from '../process/runtime.ts'
import { followed, type States, saveState } from './learn.ts'
import { partitionsOf, readSnapshots, Slots } from './snapshot-log.ts'

/**
 * Takes the snapshots of the policies whose partitions become this process's, until `stop`. While the store is away the component
 * `snapshots` is failing, and the snapshot is tried again until it is written.
 */
export const takeSnapshots = (
  runtime: Runtime,
  states: States,
  stop: Observable<unknown>,
): Observable<Progress> => {
  const component = runtime.health.component('snapshots')
  component.ready()
  const away = 'STORE_UNAVAILABLE'
  const server = new Remote({ name: 'the model store', away, log: runtime.log, component })
  return job(runtime, 'learn', stop, {
    topics: [topicOf(runtime.config, 'outcome')],
    maxBatchRecords: 1,
    chain: (task, metrics) => (batches) =>
      defer(() => {
        const gone = new AbortController()
        const taker = new Taker(runtime, states, task, server, gone.signal)
        const ended = batches.pipe(
          // The position of this job is that of the snapshots: as a lag it would mislead.
          tap(() => metrics.forget(task.partition)),
          finalize(() => gone.abort()),
          ignoreElements(),
          endWith(null),
        )
        return merge(of(null), states.advanced).pipe(
          takeUntil(ended),
          exhaustMap(() => taker.takeDue()),
        )
      }),
  })
}

/** Takes the snapshots of the policies whose first part lies in a task's partition. */
class Taker {
  private readonly runtime: Runtime
  private readonly states: States
  private readonly task: Task
  private readonly server: Remote
  /** Aborts when the task is this process's no more. */
  private readonly gone: AbortSignal
  /** The slots, and the definitions that they were read for. */
  private slots: Slots | null = null
  private definitions: States['definitions'] = []
  /** Records followed when a state was last saved. */
  private readonly saved = new Map<string, number>()
  /** How far a state had come when it was last tried: a split one may stand still while its outcomes are followed. */
  private readonly tried = new Map<string, number>()

  constructor(runtime: Runtime, states: States, task: Task, server: Remote, gone: AbortSignal) {
    this.runtime = runtime
    this.states = states
    this.task = task
    this.server = server
    this.gone = gone
  }

  /** The states that this task is to save: those held now whose first part lies in its partition. */
  private get policies(): LivePolicy[] {
    const { table, partitions } = this.states
    return [...table.held()].filter((live) => partitionsOf(live, partitions)[0] === this.task.partition)
  }

  /** Takes one snapshot after another while any is due. @throws MillraceError what `Task.checkpoint` throws */
  async *takeDue(): AsyncGenerator<Progress> {
    if (this.policies.length === 0) return
    try {
      for (;;) {
        const slots = await this.readSlots()
        const live = this.due(slots)
        if (live === undefined || this.gone.aborted) return
        const taken = await this.take(live, slots)
        if (taken !== null) yield taken
      }
    } catch (error) {
      if (error !== this.gone.reason) throw error
    }
  }

  /** Read again where versions have come or changed. */
  private async readSlots(): Promise<Slots> {
    const { runtime, states, gone } = this
    const { definitions } = states
    if (this.slots !== null && this.definitions === definitions) return this.slots
    const registry = new Remote({
      name: 'the schema registry',
      away: 'REGISTRY_UNAVAILABLE',
      log: runtime.log,
    })
    const slots = await registry.reach(() => Slots.read(runtime, states.table, definitions), gone)
    this.slots = slots
    this.definitions = definitions
    return slots
  }

  private due(slots: Slots): LivePolicy | undefined {
    const { every } = this.runtime.config.snapshots
    return this.policies.find((live) => {
      const key = keyOf(live)
      if (live.parts > 1 && this.tried.get(key) === live.stateOffset) return false
      const since = this.saved.get(key) ?? slots.newest(live)
      return sum(followed(this.states, live)) - since >= every
    })
  }

  /** Null where the state is no further than the last snapshot: a split one waits for its slowest part. */
  private async take(live: LivePolicy, slots: Slots): Promise<Progress | null> {
    const { runtime, states, task } = this
    const { codec, config, log, metrics, now } = runtime
    const store = await openModelStore(config.models.directory)
    const kept = await this.server.reach(async () => {
      const position = states.positions.get(task.partition)!
      // Meanwhile it may have been let go, or be spoken for by another version.
      if (!this.policies.includes(live)) return null
      const key = keyOf(live)
      this.tried.set(key, live.stateOffset)
      const state = saveState(states, live)
      if (sum(state.offsets) <= slots.newest(live)) return null
      this.saved.set(key, sum(followed(states, live)))
      return { ...state, position, ...(await store.put(state.bytes)) }
    }, this.gone)
    if (kept === null || this.gone.aborted) return null
    const { bytes, offsets, position, uri, sha256 } = kept
    const slot = slots.next(live)
    const partitions = partitionsOf(live, states.partitions)
    const snapshot: Snapshot = {
      policy: live.name,
      slot,
      policyVersion: live.version,
      policyHash: live.hash,
      uri,
      sha256,
      bytes: bytes.length,
      crc32: crc32(bytes),
      format: SNAPSHOT_FORMAT,
      kernel: NUMERIC_KERNEL,
      partition: partitions[0]!,
      offset: offsets[0]!,
      parts:
        live.parts === 1 ? [] : offsets.map((offset, part) => ({ partition: partitions[part]!, offset })),
      takenAt: now(),
    }
    const record = {
      topic: topicOf(config, 'snapshot'),
      key: Buffer.from(KEYS.snapshot(snapshot)),
      value: codec.encode('snapshot', snapshot),
    }
    const topic = topicOf(config, 'outcome')
    await task.checkpoint({ outputs: [record], positions: new Map([[topic, { offset: position }]]) })
    const replaced = slots.put(snapshot)
    if (states.table.get(live.name) === live) metrics.policy(live.name).snapshotOffset(snapshot.offset)
    log.info({ policy: live.name, slot, offsets, bytes: bytes.length, sha256 }, 'snapshot taken')
    if (replaced !== undefined) await removeUnnamed(runtime, store, replaced.sha256)
    const { partition } = task
    return { pipeline: 'learn', topic, partition, received: 0, sent: { snapshot: 1 }, deadLetters: 0 }
  }
}

/** Removes bytes that no record of the topic names any more. What cannot be looked at or removed stays, and costs room alone. */
const removeUnnamed = async (runtime: Runtime, store: ModelStore, sha256: string): Promise<void> => {
  try {
    const named = (await readSnapshots(runtime)).some((snapshot) => snapshot.sha256 === sha256)
    if (!named) await store.remove(sha256)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    const { code, message } = error
    runtime.log.warn({ code, sha256 }, `the bytes of an old snapshot were not removed: ${message}`)
  }
}

/** A state among all. */
const keyOf = ({ name, stateHash }: LivePolicy): string => `${name}/${stateHash}`

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)
