/** The partition assigner deals every number out once, evenly, and moves as few as it can. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { assignNumbers } from '../../../infra/kafka/kafkajs/assigner.ts'

const groups = fc.record({
  members: fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 }),
  count: fc.nat(40),
  held: fc.array(fc.array(fc.nat(45), { maxLength: 12 }), { minLength: 8, maxLength: 8 }),
})

it('gives each number to one member, and no member two more than another', () => {
  fc.assert(
    fc.property(groups, ({ members, count, held }) => {
      const assigned = assignNumbers(
        members.map((memberId, index) => ({ memberId, held: held[index]! })),
        count,
      )
      const numbers = [...assigned.values()].flat().sort((a, b) => a - b)
      expect(numbers).toEqual(Array.from({ length: count }, (_, number) => number))
      const sizes = members.map((member) => assigned.get(member)!.length)
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
    }),
  )
})

it('does not depend on the order in which members are named', () => {
  fc.assert(
    fc.property(groups, ({ members, count, held }) => {
      const assignees = members.map((memberId, index) => ({ memberId, held: held[index]! }))
      const forth = assignNumbers(assignees, count)
      const back = assignNumbers([...assignees].reverse(), count)
      for (const member of members) expect(back.get(member)).toEqual(forth.get(member))
    }),
  )
})

it('moves nothing where the group stays, and no more than the newcomer’s share where one joins', () => {
  fc.assert(
    fc.property(groups, ({ members, count }) => {
      const none = members.map((memberId) => ({ memberId, held: [] }))
      const before = assignNumbers(none, count)
      const holding = members.map((memberId) => ({ memberId, held: before.get(memberId)! }))
      expect(assignNumbers(holding, count)).toEqual(before)
      const after = assignNumbers([...holding, { memberId: 'newcomer', held: [] }], count)
      let moved = 0
      for (const member of members)
        for (const number of before.get(member)!) if (!after.get(member)!.includes(number)) moved++
      expect(moved).toBe(after.get('newcomer')!.length)
    }),
  )
})
