/**
 * Opens a task, always in this order: see that all it writes to has leaders, initialise the producer under the stable id (which aborts what
 * a former owner left open, and fences it), read the committed positions, begin to fetch there. A topic never committed begins at its
 * earliest offset.
 */
import type { Position, TaskGroupOptions } from '../port.ts'
import { type Driver, type FetcherInput, groupIdOf, missingTopic, patiently } from './driver.ts'
import type { Packer } from './packing.ts'
import { type OpenedTask, OwnedTask } from './task.ts'

export interface Opening {
  readonly driver: Driver
  readonly packer: Packer
  readonly options: TaskGroupOptions
  readonly onLost: OpenedTask['onLost']
  readonly signal: AbortSignal
}

const DEFAULT_TRANSACTION_TIMEOUT_MS = 10_000
export const DEFAULT_REVOKE_TIMEOUT_MS = 5000

/** @throws MillraceError KAFKA_UNAVAILABLE, MISSING_TOPIC */
export const openTask = async (opening: Opening, partition: number): Promise<OwnedTask> => {
  const { driver, packer, options, signal } = opening
  const { admin } = driver
  const { app, job, topics } = options
  const groupId = groupIdOf(app, job)
  const timeoutMs = options.transactionTimeoutMs ?? DEFAULT_TRANSACTION_TIMEOUT_MS
  const transactionalId = `${groupId}-${partition}`
  // Initialising ends what a former owner left open: everything that this touches must have a leader, the positions too.
  await Promise.all([admin.describe(options.outputs ?? topics), admin.committed(app, job, topics)])
  const transactor = await patiently(
    driver,
    () => driver.transactor({ transactionalId, groupId, partition, timeoutMs }),
    signal,
  )
  try {
    const found = await admin.committed(app, job, topics)
    const committed = new Map<string, Position>()
    const inputs = await Promise.all(
      topics.map(async (topic): Promise<FetcherInput> => {
        const position = found.get(topic)?.get(partition)
        if (position) committed.set(topic, position)
        const offset = position?.offset ?? (await earliestOf(driver, topic, partition))
        return { topic, partition, offset }
      }),
    )
    const { maxBatchRecords = 1000, idleMs, tickMs } = options
    const fetcher = await driver.fetcher({
      inputs,
      maxBatchRecords,
      ...(idleMs === undefined ? {} : { idleMs }),
      ...(tickMs === undefined ? {} : { tickMs }),
    })
    const { onLost } = opening
    const revokeTimeoutMs = options.revokeTimeoutMs ?? DEFAULT_REVOKE_TIMEOUT_MS
    const reached = { transactor, fetcher, packer, patience: driver }
    return new OwnedTask({ job, partition, committed, ...reached, revokeTimeoutMs, onLost })
  } catch (error) {
    await transactor.close()
    throw error
  }
}

const earliestOf = async ({ admin, address }: Driver, topic: string, partition: number) => {
  const offsets = (await admin.offsets(topic)).find((each) => each.partition === partition)
  if (!offsets) throw missingTopic([topic], address)
  return offsets.earliest
}
