/**
 * The group coordinator of the in-memory broker: one group a job. It owns partition numbers, not (topic, partition) pairs, so the
 * tasks of a job are co-assigned by construction. Members keep what they can in a rebalance; a number changes hands only to keep
 * the counts within one of each other. Positions outlive the members.
 */
import type { Position } from '../port.ts'
import type { Topic } from './topic.ts'

/** What a member does when tasks come and go. */
export interface Member {
  readonly topics: readonly Topic[]
  readonly owned: Set<number>
  /** Called for each number that becomes this member's, after all others gave up theirs. */
  open(partition: number): void
  close(partition: number): void
}

export class Group {
  readonly #members = new Set<Member>()
  readonly #positions = new Map<string, Map<number, Position>>()
  #rebalancing = false

  join(member: Member): void {
    this.#members.add(member)
    for (const topic of member.topics)
      for (const [partition, log] of topic.partitions.entries())
        log.hold(this, this.position(topic.name, partition)?.offset ?? log.earliest, true)
    this.rebalance()
  }

  leave(member: Member): void {
    if (!this.#members.delete(member)) return
    member.owned.clear()
    this.rebalance()
  }

  position(topic: string, partition: number): Position | undefined {
    return this.#positions.get(topic)?.get(partition)
  }

  commit(topic: Topic, partition: number, position: Position): void {
    const positions = this.#positions.get(topic.name) ?? new Map<number, Position>()
    this.#positions.set(topic.name, positions.set(partition, position))
    topic.log(partition).hold(this, position.offset, true)
  }

  /** Committed positions of a topic, by partition. */
  positions(topic: string): Map<number, Position> {
    return new Map(this.#positions.get(topic))
  }

  /** Deals the tasks anew, soon, so that members that join together are dealt tasks together. */
  rebalance(): void {
    if (this.#rebalancing) return
    this.#rebalancing = true
    setImmediate(() => {
      this.#rebalancing = false
      this.#deal()
    })
  }

  #deal(): void {
    const members = [...this.#members]
    if (members.length === 0) return
    const partitions = members[0]!.topics[0]?.partitions.length ?? 0
    const dealt = assign(
      partitions,
      members.map(({ owned }) => owned),
    )
    for (const [index, member] of members.entries())
      for (const partition of [...member.owned])
        if (!dealt[index]!.includes(partition)) {
          member.owned.delete(partition)
          member.close(partition)
        }
    for (const [index, member] of members.entries())
      for (const partition of dealt[index]!) {
        // A member may leave while it is told of its tasks.
        if (!this.#members.has(member)) break
        if (member.owned.has(partition)) continue
        member.owned.add(partition)
        member.open(partition)
      }
  }
}

/**
 * Deals numbers 0 … partitions-1 to members: counts differ by at most one, each number has one owner, and as many as possible stay where
 * they are. O(partitions × members).
 */
export const assign = (partitions: number, owned: readonly ReadonlySet<number>[]): number[][] => {
  const least = Math.floor(partitions / owned.length)
  const larger = partitions % owned.length
  // Those who own most are the ones allowed one more.
  const order = owned.map((_, index) => index).sort((a, b) => owned[b]!.size - owned[a]!.size || a - b)
  const quota = new Map(order.map((member, rank) => [member, least + (rank < larger ? 1 : 0)]))
  const dealt = owned.map((numbers, index) =>
    [...numbers].sort((a, b) => a - b).slice(0, quota.get(index) ?? 0),
  )
  const kept = new Set(dealt.flat())
  for (let partition = 0; partition < partitions; partition++) {
    if (kept.has(partition)) continue
    const member = dealt.findIndex((numbers, index) => numbers.length < quota.get(index)!)
    dealt[member]!.push(partition)
  }
  return dealt
}
