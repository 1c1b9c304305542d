/**
 * A group's member on librdkafka's consumer, which joins, heartbeats and rebalances in threads of its own, and is given nothing to
 * fetch. Its `range` assignor gives the same numbers of all topics of equal size to one member; it is not sticky: members keep
 * what their place in the order of members leaves them.
 *
 * librdkafka tells of no heartbeat: its statistics say twice a second whether the group is joined.
 */
import type { Membership, MembershipEvents, MembershipOptions } from '../adapter/driver.ts'
import { type Client, closeClient } from './client.ts'
import { isRefusal, isTransient } from './errors.ts'
import type { LibraryError, TopicPartition } from './library.ts'

const POLL_MS = 20
const STATISTICS_MS = 500
/** A member that does not answer a rebalance within this is left out of it. */
const REBALANCE_TIMEOUT_MS = 30_000
const ASSIGN = -175

export const createMembership = (
  client: Client,
  { groupId, topics, sessionTimeoutMs }: MembershipOptions,
  events: MembershipEvents,
): Membership => {
  let polling: NodeJS.Timeout | undefined
  let trouble: unknown = new Error('the group has no coordinator')
  const consumer = client.newConsumer({
    'group.id': groupId,
    'partition.assignment.strategy': 'range',
    'session.timeout.ms': sessionTimeoutMs,
    'heartbeat.interval.ms': Math.min(500, Math.floor(sessionTimeoutMs / 4)),
    'max.poll.interval.ms': Math.max(sessionTimeoutMs, REBALANCE_TIMEOUT_MS),
    'statistics.interval.ms': STATISTICS_MS,
    rebalance_cb: ({ code }: LibraryError, partitions: readonly TopicPartition[]) => {
      if (!consumer.isConnected()) return
      if (code !== ASSIGN) return consumer.unassign()
      consumer.assign([])
      events.assigned(partitions.filter(({ topic }) => topic === topics[0]).map(({ partition }) => partition))
    },
  })
  consumer.on<LibraryError>('event.error', (error) => {
    trouble = error
    if (isRefusal(error)) events.ended(error)
  })
  consumer.on<{ message: string }>('event.stats', ({ message }) => {
    const { cgrp } = JSON.parse(message) as { cgrp?: { state: string; join_state: string } }
    if (cgrp?.state === 'up' && cgrp.join_state === 'steady') events.well()
    else events.ailing(trouble)
  })
  /** Lets librdkafka call back: there is nothing to consume. */
  const poll = () => {
    if (!consumer.isConnected()) return
    consumer.consume(1, (error) => {
      if (error && !isTransient(error)) events.ended(error)
    })
  }
  return {
    connect: () => client.connect(consumer),
    run: async () => {
      consumer.setDefaultConsumeTimeout(0)
      consumer.subscribe(topics)
      polling = setInterval(poll, POLL_MS)
    },
    close: async () => {
      clearInterval(polling)
      await closeClient(consumer)
    },
  }
}
