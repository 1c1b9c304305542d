/**
 * The partition assigner: one partition number of all topics goes to one member, so that a task owns it whole (kafkajs's own
 * deals (topic, partition) pairs out and would split them). Balanced to within one, the same on every leader, and sticky: members tell
 * which numbers they hold, and keep them up to their share, so that a rebalance rebuilds as little state as it must.
 */
import { AssignerProtocol, type PartitionAssigner } from 'kafkajs'

export interface AssigneeNumbers {
  readonly memberId: string
  /** Numbers the member holds from before. */
  readonly held: readonly number[]
}

/** Deals [0, count) out to the members. O(count · members). */
export const assignNumbers = (
  members: readonly AssigneeNumbers[],
  count: number,
): Map<string, readonly number[]> => {
  const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
  const shares = sorted.map(({ memberId, held }) => ({ memberId, held, numbers: [] as number[] }))
  const share = Math.floor(count / shares.length)
  let extras = count % shares.length
  const free = new Set(Array.from({ length: count }, (_, number) => number))
  for (const { held, numbers } of shares)
    for (const number of held) {
      if (!free.has(number)) continue
      if (numbers.length > share || (numbers.length === share && extras === 0)) break
      if (numbers.length === share) extras--
      numbers.push(number)
      free.delete(number)
    }
  for (const number of free) {
    const least = shares.reduce((a, b) => (b.numbers.length < a.numbers.length ? b : a))
    least.numbers.push(number)
  }
  return new Map(shares.map(({ memberId, numbers }) => [memberId, numbers.sort((a, b) => a - b)]))
}

const parseHeld = (userData: Buffer): number[] => {
  try {
    const held: unknown = JSON.parse(userData.toString())
    return Array.isArray(held) ? held.filter((number) => Number.isInteger(number)) : []
  } catch {
    return []
  }
}

const NAME = 'millrace-tasks'
const VERSION = 1

/** The assigner of one member; `held` tells the numbers it holds when a rebalance begins. */
export const createAssigner =
  (held: () => readonly number[]): PartitionAssigner =>
  ({ cluster }) => ({
    name: NAME,
    version: VERSION,
    async assign({ members, topics }) {
      const count = Math.min(...topics.map((topic) => cluster.findTopicPartitionMetadata(topic).length))
      const assignees = members.map(({ memberId, memberMetadata }) => ({
        memberId,
        held: parseHeld(AssignerProtocol.MemberMetadata.decode(memberMetadata)?.userData ?? Buffer.alloc(0)),
      }))
      return [...assignNumbers(assignees, count)].map(([memberId, numbers]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: VERSION,
          assignment: Object.fromEntries(topics.map((topic) => [topic, [...numbers]])),
          userData: Buffer.alloc(0),
        }),
      }))
    },
    protocol: ({ topics }) => ({
      name: NAME,
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: VERSION,
        topics,
        userData: Buffer.from(JSON.stringify(held())),
      }),
    }),
  })
