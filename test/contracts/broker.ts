/**
 * The contract of a broker adapter (infra/kafka/port.ts), as one suite that runs on each of them. It uses the port alone, and
 * a harness for what the port cannot do: a transaction that stays open, is aborted, or takes over a task's id; records deleted from
 * under a reader, topics changed or removed under a job; a process that dies inside its commit.
 *
 *     const harness: BrokerHarness = { connect, transaction, …, patienceMs: 30_000 }
 *     beforeAll(start); afterAll(stop)
 *     describeBroker('kafkajs on Apache Kafka', harness)
 *
 * What an adapter's test must provide:
 * - `connect()`: a new member of the same cluster, as another process would be. The suite closes it.
 * - `transaction(records, transactionalId?)`: the records appended in a transaction that is still open.
 * - `deleteRecords(topic, partition, before)`, `addPartitions(topic, count)`, `deleteTopic(topic)`.
 * - `connectDoomed()`, where it can: a member that dies in its first commit after everything was sent and before the end.
 * - A cluster that does not create topics on first use (`auto.create.topics.enable=false`), with Kafka's default
 *   `max.message.bytes`.
 *
 * Topic and app names are new in every test, and every wait is a poll with a deadline (`patienceMs`), so the suite may run against
 * a shared cluster and many times over.
 */
import { afterEach, describe } from 'vitest'
import { describeAdmin } from './broker/admin.ts'
import { describeDelivery } from './broker/delivery.ts'
import { describeGroups } from './broker/groups.ts'
import { type BrokerHarness, Scene } from './broker/harness.ts'
import { describeReaders } from './broker/readers.ts'
import { describeRecords } from './broker/records.ts'
import { describeSilence } from './broker/silence.ts'

export type { BrokerHarness, OpenTransaction } from './broker/harness.ts'

/** Runs the contract on one adapter. `name` is the adapter with its cluster. */
export const describeBroker = (name: string, harness: BrokerHarness): void => {
  const scene = new Scene(harness)
  // A test waits a few times at most.
  describe(`broker contract: ${name}`, { timeout: 4 * scene.patienceMs + 10_000 }, () => {
    afterEach(() => scene.clear())
    describeAdmin(scene)
    describeRecords(scene)
    describeDelivery(scene)
    describeGroups(scene)
    describeReaders(scene)
    describeSilence(scene)
  })
}
