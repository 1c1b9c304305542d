/**
 * Makes kafkajs's consumers in this process read committed records only, as they promise to. Of their own they go through a broker's list of aborted
 * transactions in its order, which is that of the transactions' ends, and let records of some pass where several producers' lie among
 * each other.
 */
import { createRequire } from 'node:module'

const READ_COMMITTED = 1

interface Message {
  readonly offset: string
  readonly key: Buffer | null
  readonly batchContext?: { readonly producerId: unknown; readonly inTransaction: boolean }
  isControlRecord: boolean
}

interface Partition {
  readonly messages?: readonly Message[]
  abortedTransactions?: readonly { readonly firstOffset: unknown; readonly producerId: unknown }[] | null
}

interface Answer {
  readonly responses: readonly { readonly partitions: readonly Partition[] }[]
}

type Fetch = (this: unknown, request: { readonly isolationLevel: number }) => Promise<Answer>

/** Hides aborted records as control records are hidden: positions move past both. */
const hideAborted = (partition: Partition): void => {
  const aborted = [...(partition.abortedTransactions ?? [])]
    .map(({ firstOffset, producerId }) => ({ first: Number(firstOffset), producer: String(producerId) }))
    .sort((a, b) => a.first - b.first)
  const open = new Set<string>()
  let next = 0
  for (const message of partition.messages ?? []) {
    while (next < aborted.length && aborted[next]!.first <= Number(message.offset))
      open.add(aborted[next++]!.producer)
    const { producerId, inTransaction = false } = message.batchContext ?? {}
    const producer = String(producerId)
    if (message.isControlRecord) {
      // Version and type, two bytes each: 0 aborts.
      if (message.key?.readInt16BE(2) === 0) open.delete(producer)
    } else if (inTransaction && open.has(producer)) message.isControlRecord = true
  }
  partition.abortedTransactions = []
}

const { prototype } = createRequire(import.meta.url)('kafkajs/src/broker/index.js') as {
  prototype: { fetch: Fetch }
}
const { fetch } = prototype
prototype.fetch = async function (request) {
  const answer = await fetch.call(this, request)
  if (request.isolationLevel === READ_COMMITTED)
    for (const { partitions } of answer.responses)
      for (const partition of partitions) if (partition.messages !== undefined) hideAborted(partition)
  return answer
}
