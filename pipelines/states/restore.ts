/**
 * Restoring: every state of a table is put back to its newest snapshot that can be gone on from. One that is damaged, missing, of another kernel
 * or behind what `outcomes` still holds is passed over with a warning, for the one before; with none left, the state is folded
 * from its beginning. So a snapshot never decides what a state is, only how long it takes to get there.
 */
import type { TopicOffsets } from '../../infra/kafka/port.ts'
import { type ModelStore, openModelStore } from '../../infra/models/store.ts'
import type { LivePolicy, PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { crc32 } from '../../operators/numerics/crc32.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { PolicyDefinition, Snapshot } from '../../schemas/generated/events.ts'
import type { Runtime } from '../process/runtime.ts'
import { isOfState, partsOfSnapshot, reach, readSnapshots, whyUnusable } from './snapshot-log.ts'

type Surroundings = Pick<Runtime, 'broker' | 'codec' | 'config' | 'log'>

/**
 * Restores what can be.
 * @param definitions all known, those of the table among them
 * @param outcomes what there is of `outcomes` to fold, by partition: a snapshot that goes on outside of it is of no use. A replay to an
 * offset gives that as `latest`.
 * @param states which of those that the table holds; all where absent
 * @returns the snapshots that were restored; states without one stand at their beginning
 */
export const restore = async (
  runtime: Surroundings,
  table: PolicyTable,
  definitions: readonly PolicyDefinition[],
  outcomes: readonly TopicOffsets[],
  states: Iterable<LivePolicy> = table.held(),
): Promise<Snapshot[]> => {
  const store = await openModelStore(runtime.config.models.directory)
  const snapshots = (await readSnapshots(runtime)).sort((a, b) => reach(b) - reach(a))
  const restored: Snapshot[] = []
  for (const live of states) {
    for (const snapshot of snapshots) {
      if (!isOfState(snapshot, live, definitions)) continue
      const { policy, partition, offset, bytes } = snapshot
      const what = { policy, snapshot: KEYS.snapshot(snapshot), partition, offset }
      try {
        const unusable = whyUnusable(snapshot, live, outcomes)
        if (unusable !== null) throw unusable
        await load(store, table, live, snapshot)
        runtime.log.info({ ...what, bytes }, 'state restored from a snapshot')
        restored.push(snapshot)
        break
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        const { code, message } = error
        runtime.log.warn({ ...what, code }, `a snapshot was passed over, the start takes longer: ${message}`)
      }
    }
  }
  return restored
}

/** @throws MillraceError SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH, STORE_UNAVAILABLE: the table is then as it was */
const load = async (
  store: ModelStore,
  table: PolicyTable,
  { name, stateHash }: LivePolicy,
  snapshot: Snapshot,
): Promise<void> => {
  const { sha256, crc32: expected } = snapshot
  const bytes = await store.get(sha256)
  if (bytes === null)
    throw new MillraceError('SNAPSHOT_CORRUPT', `snapshot: ${sha256} is not in ${store.directory}`)
  if (bytes.length !== snapshot.bytes || crc32(bytes) !== expected)
    throw new MillraceError('SNAPSHOT_CORRUPT', `snapshot: ${sha256} is not what its record says`)
  const offsets = partsOfSnapshot(snapshot).map(({ offset }) => offset)
  table.load(name, bytes, offsets, stateHash)
}
