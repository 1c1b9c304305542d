/**
 * The broker port on kafkajs 2.2.4: transactions, groups and metadata are kafkajs's; partition assignment, fetching, packing
 * and recovery are ours (assigner.ts, fetcher.ts and ../adapter say why). One connection for administration, two for each
 * task, one for each reader and writer.
 */
import { openBroker } from '../adapter/broker.ts'
import type { Driver } from '../adapter/driver.ts'
import type { Broker } from '../port.ts'
import { createAdmin } from './admin.ts'
import { createClient, type KafkajsOptions } from './client.ts'
import { createFetcher } from './fetcher.ts'
import { createMembership } from './membership.ts'
import { createSender, createTransactor } from './producer.ts'

export type { KafkajsOptions } from './client.ts'

/**
 * A broker on the given cluster, reached once already.
 * @throws MillraceError KAFKA_UNAVAILABLE, naming the address, when it does not answer within `patienceMs` or refuses us.
 */
export const createKafkajsBroker = async (options: KafkajsOptions): Promise<Broker> => {
  const client = createClient(options)
  const driver: Driver = {
    ...client,
    admin: createAdmin(client),
    transactor: (of) => createTransactor(client, of),
    sender: () => createSender(client),
    fetcher: (of) => createFetcher(client, of),
    membership: (of, events) => createMembership(client, of, events),
    close: async () => {},
  }
  return openBroker('kafkajs', driver)
}
