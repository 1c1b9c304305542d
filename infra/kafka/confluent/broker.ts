/**
 * The broker port on @confluentinc/kafka-javascript 1.10 (librdkafka), an optional package: groups, transactions, fetching and
 * sending are librdkafka's, recovery and packing are ../adapter's. Administration stays kafkajs's, since the package gives neither a
 * cluster's id nor a topic's settings.
 *
 * - A task is fenced by its stable transactional id alone, as with kafkajs: its initialisation comes before the committed positions
 *   are read. Transactions name no generation of the group (KIP-447), which would fail the commits of tasks that are kept over a
 *   rebalance and protect from nothing more.
 * - A batch's `nextOffset` is above its last record; control records behind it are passed over only where the end of the partition
 *   was reached with it. So the lag of a partition written in transactions may rest at one or two, and a job that stood still
 *   until retention had emptied such a partition says OFFSET_OUT_OF_RANGE, though it missed nothing.
 * - All members of a group use the same adapter: their assignors differ.
 * - Not for worker threads: the package knows the main thread's loop only.
 */
import { openBroker } from '../adapter/broker.ts'
import type { Driver } from '../adapter/driver.ts'
import type { KafkaConnectionOptions } from '../connection.ts'
import { createAdmin } from '../kafkajs/admin.ts'
import { createClient as createKafkajsClient } from '../kafkajs/client.ts'
import type { Broker } from '../port.ts'
import { createClient } from './client.ts'
import { createFetcher } from './fetcher.ts'
import { type Library, loadLibrary } from './library.ts'
import { createMembership } from './membership.ts'
import { createSender, createTransactor } from './producer.ts'

/**
 * A broker on the given cluster, reached once already. `library` is the package where it lies elsewhere than among ours.
 * @throws MillraceError INVALID_CONFIG without the package; KAFKA_UNAVAILABLE, naming the address, when the cluster does not answer
 * within `patienceMs` or refuses us.
 */
export const createConfluentBroker = async (
  options: KafkaConnectionOptions,
  library?: Library,
): Promise<Broker> => {
  const client = createClient(library ?? (await loadLibrary()), options)
  const driver: Driver = {
    ...client,
    admin: createAdmin(createKafkajsClient(options)),
    transactor: (of) => createTransactor(client, of),
    sender: () => createSender(client),
    fetcher: (of) => createFetcher(client, of),
    membership: (of, events) => createMembership(client, of, events),
  }
  return openBroker('confluent', driver)
}
