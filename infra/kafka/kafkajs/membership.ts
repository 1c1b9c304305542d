/**
 * A group's member on kafkajs's consumer, which keeps the membership and fetches nothing: all partitions stay paused. kafkajs fails
 * for good where its quick retry does not help; the group then joins again.
 */
import {
  closeSoon,
  type Membership,
  type MembershipEvents,
  type MembershipOptions,
} from '../adapter/driver.ts'
import { createAssigner } from './assigner.ts'
import type { Client } from './client.ts'

const LOOP_MS = 50

export const createMembership = (
  { kafka }: Client,
  { groupId, topics, sessionTimeoutMs, held }: MembershipOptions,
  events: MembershipEvents,
): Membership => {
  const consumer = kafka.consumer({
    groupId,
    partitionAssigners: [createAssigner(held)],
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: Math.max(sessionTimeoutMs, 5000),
    heartbeatInterval: Math.min(500, Math.floor(sessionTimeoutMs / 4)),
    maxWaitTimeInMs: LOOP_MS,
    allowAutoTopicCreation: false,
    retry: { retries: 20, restartOnFailure: async () => false },
  })
  const { GROUP_JOIN, HEARTBEAT, CRASH } = consumer.events
  consumer.on(GROUP_JOIN, ({ payload: { memberAssignment } }) => {
    consumer.pause(topics.map((topic) => ({ topic })))
    events.assigned(memberAssignment[topics[0]!] ?? [])
  })
  consumer.on(HEARTBEAT, () => events.well())
  consumer.on(CRASH, ({ payload: { error } }) => events.ended(error))
  return {
    connect: async () => {
      await consumer.connect()
      await consumer.subscribe({ topics: [...topics], fromBeginning: true })
    },
    run: () => consumer.run({ autoCommit: false, eachBatch: async () => {} }),
    close: () => closeSoon(consumer.disconnect()),
  }
}
