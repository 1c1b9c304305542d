import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinUcb } from '../../../../operators/bandits/policies/lin-ucb.ts'
import type { PolicyDefinitionBody } from '../../../../operators/bandits/state/definition.ts'
import { PolicyTable } from '../../../../operators/bandits/state/policy-table.ts'
import { partKey, partOf } from '../../../../operators/bandits/state/split.ts'
import type { Outcome } from '../../../../schemas/generated/events.ts'
import { body, definitionOf, outcome } from '../definitions.ts'
import { refusal } from '../laws.ts'

const PARTS = 3
const EVERY = 4
const SPLIT = { partitions: PARTS, mergeEvery: EVERY }

const tableOf = (split: Partial<PolicyDefinitionBody> = SPLIT, of: Parameters<typeof body>[0] = {}) =>
  new PolicyTable([definitionOf('p', { ...body({ refreshEvery: 5, ...of }), ...split })])
const bytes = (table: PolicyTable) => Buffer.from(table.get('p')!.policy.snapshot()).toString('base64')

/** An outcome with its key and its offset there; offsets have gaps, as transactions leave them. */
interface Placed {
  readonly outcome: Outcome
  readonly offset: number
  readonly part: number
}

const placed = (outcomes: readonly Outcome[], parts = PARTS): Placed[] => {
  const ends = new Array<number>(parts).fill(0)
  return outcomes.map((each) => {
    const part = partOf(each.requestId, parts)
    ends[part]! += 2
    return { outcome: each, offset: ends[part]!, part }
  })
}

const take = (table: PolicyTable, outcomes: readonly Placed[], parts = PARTS): PolicyTable => {
  for (const { outcome: each, offset, part } of outcomes)
    refusal(() => table.learn(each, offset, Buffer.from(partKey('p', part, parts))))
  return table
}

/** Outcomes of the parts in their order, the parts interleaved as `choices` say. */
const interleaved = (outcomes: readonly Placed[], choices: Iterator<number>): Placed[] => {
  const queues = Array.from({ length: PARTS }, (_, part) => outcomes.filter((each) => each.part === part))
  const order: Placed[] = []
  while (order.length < outcomes.length) {
    const next = queues[choices.next().value! % PARTS]!.shift()
    if (next !== undefined) order.push(next)
  }
  return order
}

const number = fc.double({ min: -5, max: 5, noNaN: true })
const sound = fc.record({
  requestId: fc.nat(10_000).map((n) => `r${n}`),
  arm: fc.constantFrom('a', 'b', 'c'),
  vector: fc.tuple(number, number),
  reward: number,
  propensity: fc.constantFrom(0.995, 0.5),
})
const refused = fc.oneof(
  fc.constant({ vector: [Number.NaN, 1] }),
  fc.constant({ vector: [1] }),
  fc.constant({ vector: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] }),
  fc.constant({ reward: Number.POSITIVE_INFINITY }),
  fc.constant({ propensity: 0 }),
)
const any = fc
  .tuple(sound, fc.option(refused, { freq: 8 }))
  .map(([good, bad]) => outcome('r', { ...good, ...bad }))
const outcomes = fc.array(any, { maxLength: 90, size: 'max' })
const choices = fc.infiniteStream(fc.nat(PARTS - 1))

describe('a split policy', () => {
  it('holds the same bytes however its parts interleave, with the same number of outcomes of each part', () => {
    fc.assert(
      fc.property(outcomes, choices, choices, (stream, one, other) => {
        const all = placed(stream)
        const first = take(tableOf(), interleaved(all, one))
        const second = take(tableOf(), interleaved(all, other))
        expect(bytes(second)).toBe(bytes(first))
        expect(second.get('p')!.stateOffset).toBe(first.get('p')!.stateOffset)
        expect(second.get('p')!.offsets).toEqual(first.get('p')!.offsets)
        const counts = Array.from({ length: PARTS }, (_, k) => all.filter(({ part }) => part === k).length)
        const generations = Math.floor(Math.min(...counts) / EVERY)
        expect(first.get('p')!.stateOffset).toBe(generations * EVERY)
      }),
    )
  })

  it('agrees with the unsplit fold of the same outcomes, to 1e-9 in weights and scores', () => {
    fc.assert(
      fc.property(outcomes, choices, fc.tuple(number, number), (stream, order, context) => {
        const all = interleaved(placed(stream), order)
        const split = take(tableOf(), all)
        const { stateOffset, policy } = split.get('p')!
        const seen = new Array<number>(PARTS).fill(0)
        const whole = tableOf({})
        let offset = 0
        for (const { outcome: each, part } of all) {
          seen[part]! += 1
          if (seen[part]! <= stateOffset) refusal(() => whole.learn(each, offset++, Buffer.from('p')))
        }
        const unsplit = whole.get('p')!.policy
        if (!(policy instanceof LinUcb && unsplit instanceof LinUcb)) throw new Error('another policy')
        expect(policy.learned).toBe(unsplit.learned)
        const arms = ['a', 'b', 'c', 'd']
        const input = { arms, vectors: Float64Array.from(arms.flatMap(() => context)) }
        const expected = unsplit.scores(input)
        policy.scores(input).forEach((score, a) => {
          expect(Math.abs(score - expected[a]!)).toBeLessThanOrEqual(1e-9)
        })
        for (const arm of arms) {
          const theta = unsplit.theta(arm)
          policy.theta(arm).forEach((weight, i) => {
            expect(Math.abs(weight - theta[i]!)).toBeLessThanOrEqual(1e-9)
          })
        }
      }),
    )
  })

  it('stands still until all parts have brought their outcomes, then learns them part by part', () => {
    const ids = (part: number) =>
      Array.from({ length: 200 }, (_, i) => `r${i}`).filter((id) => partOf(id, PARTS) === part)
    const table = tableOf()
    const empty = bytes(table)
    const entry = table.get('p')!
    const bring = (part: number, from: number, to: number) => {
      for (let i = from; i < to; i++)
        table.learn(outcome(ids(part)[i]!, { arm: `${part}`, reward: i }), 10 * i)
    }
    bring(2, 0, 9)
    bring(0, 0, 4)
    bring(1, 0, 3)
    expect(bytes(table)).toBe(empty)
    expect(entry).toMatchObject({ learned: 0, stateOffset: 0, offsets: [31, 21, 81] })
    bring(1, 3, 4)
    expect(entry).toMatchObject({ learned: 12, stateOffset: 4, offsets: [31, 31, 81] })
    expect(table.save('p').offsets).toEqual([31, 31, 31])
    const inOrder = tableOf({})
    let offset = 0
    for (const part of [0, 1, 2])
      for (let i = 0; i < 4; i++)
        inOrder.learn(outcome(ids(part)[i]!, { arm: `${part}`, reward: i }), offset++)
    expect(bytes(table)).toBe(bytes(inOrder))
  })

  it('counts an outcome that is refused, so that all followers end a generation at the same one', () => {
    const id = Array.from({ length: 50 }, (_, i) => `r${i}`).find((each) => partOf(each, 2) === 0)!
    const other = Array.from({ length: 50 }, (_, i) => `r${i}`).find((each) => partOf(each, 2) === 1)!
    const table = tableOf({ partitions: 2, mergeEvery: 2 })
    table.learn(outcome(id), 0)
    table.learn(outcome(other), 0)
    table.learn(outcome(other), 1)
    expect(refusal(() => table.learn(outcome(id, { propensity: 0 }), 1))).toBe('INVALID_PROPENSITY')
    expect(table.get('p')).toMatchObject({ learned: 3, stateOffset: 2, leftOut: 0 })
  })

  it('leaves out what would overflow when its turn comes, and says how many', () => {
    const table = tableOf({ partitions: 2, mergeEvery: 2 })
    // One of them fits a sum, two do not.
    const huge = (i: number) => ({ arm: 'a', vector: i < 2 ? [9e153, 0] : [1, 0], reward: 0 })
    let learned = 0
    const first = { 0: 0, 1: 0 } as Record<number, number>
    for (let i = 0; first[0]! < 2 || first[1]! < 2; i++) {
      const part = partOf(`r${i}`, 2)
      if (first[part]! < 2) table.learn(outcome(`r${i}`, huge(learned++)), first[part]!++)
    }
    expect(table.get('p')).toMatchObject({ learned: 3, stateOffset: 2, leftOut: 1 })
  })

  it('passes over outcomes under a key that is not their part’s: they were written when it was split otherwise', () => {
    const table = tableOf()
    const part = partOf('r1', PARTS)
    for (const key of ['p', `p#${(part + 1) % PARTS}`, `p#${part}0`, '']) {
      table.learn(outcome('r1'), 70, Buffer.from(key))
    }
    expect(table.get('p')!.offsets).toEqual([0, 0, 0])
    table.learn(outcome('r1'), 70, Buffer.from(`p#${part}`))
    expect(table.get('p')!.offsets[part]).toBe(71)
    const whole = tableOf({})
    whole.learn(outcome('r1'), 70, Buffer.from(`p#${part}`))
    expect(whole.get('p')).toMatchObject({ learned: 0, offsets: [0] })
  })
})

describe.each([
  ['a split policy', SPLIT, PARTS],
  ['a policy that is not split', {}, 1],
])('%s, saved and loaded', (_, split, parts) => {
  it('ends with the same bytes as if never interrupted, wherever it is cut and whatever is read again', () => {
    fc.assert(
      fc.property(outcomes, fc.nat(90), (stream, cut) => {
        const all = placed(stream, parts)
        const whole = take(tableOf(split), all, parts)
        const first = take(tableOf(split), all.slice(0, cut), parts)
        const saved = first.save('p')
        const second = take(tableOf(split), all.slice(0, 7), parts)
        second.load('p', saved.bytes, saved.offsets)
        expect(bytes(second)).toBe(bytes(first))
        expect(second.get('p')!.stateOffset).toBe(first.get('p')!.stateOffset)
        expect(second.get('p')!.offsets).toEqual(saved.offsets)
        expect(second.save('p')).toEqual(saved)
        // A follower reads each partition from the saved offset on; what lies before does no harm.
        take(
          second,
          all.filter(({ offset, part }) => offset >= saved.offsets[part]!),
          parts,
        )
        take(second, all, parts)
        expect(bytes(second)).toBe(bytes(whole))
        expect(second.save('p')).toEqual(whole.save('p'))
        expect(second.get('p')!.offsets).toEqual(whole.get('p')!.offsets)
      }),
    )
  })

  it('refuses a snapshot with any byte flipped or any end missing, and goes on as if none had been tried', () => {
    fc.assert(
      fc.property(outcomes, fc.nat(), fc.integer({ min: 1, max: 255 }), (stream, place, flip) => {
        const all = placed(stream, parts)
        const saved = take(tableOf(split), all, parts).save('p')
        const half = all.slice(0, all.length / 2)
        const table = take(tableOf(split), half, parts)
        const before = table.save('p')
        const at = place % saved.bytes.length
        const flipped = saved.bytes.slice()
        flipped[at]! ^= flip
        for (const damaged of [flipped, saved.bytes.subarray(0, at)]) {
          const code = refusal(() => table.load('p', damaged, saved.offsets))
          expect(['SNAPSHOT_CORRUPT', 'SNAPSHOT_MISMATCH']).toContain(code)
        }
        expect(table.save('p')).toEqual(before)
        take(table, all.slice(all.length / 2), parts)
        expect(table.save('p')).toEqual(saved)
      }),
      { numRuns: 50 },
    )
  })

  it('refuses offsets of another number of parts, none at all, or such as cannot be', () => {
    const table = tableOf(split)
    const saved = table.save('p')
    for (const offsets of [
      [],
      [...saved.offsets, 0],
      saved.offsets.map(() => -1),
      saved.offsets.map(() => 0.5),
    ]) {
      expect(refusal(() => table.load('p', saved.bytes, offsets))).toBe('SNAPSHOT_MISMATCH')
    }
    expect(refusal(() => table.load('q', saved.bytes, saved.offsets))).toBe('UNKNOWN_POLICY')
    expect(refusal(() => table.save('q'))).toBe('UNKNOWN_POLICY')
  })
})

describe('a snapshot', () => {
  it('of a split policy is refused by one that is split otherwise, or not at all, and the other way round', () => {
    const others = [SPLIT, { ...SPLIT, partitions: 2 }, { ...SPLIT, mergeEvery: 5 }, {}]
    for (const mine of others) {
      for (const theirs of others) {
        const { bytes: state } = tableOf(theirs).save('p')
        const table = tableOf(mine)
        const code = refusal(() => table.load('p', state, table.save('p').offsets))
        if (mine === theirs) expect(code).toBeUndefined()
        else expect(['SNAPSHOT_CORRUPT', 'SNAPSHOT_MISMATCH']).toContain(code)
      }
    }
  })

  it('from before the state began is refused', () => {
    const table = new PolicyTable([definitionOf('p', body(), { effectiveFrom: 10 })])
    const { bytes: state } = table.save('p')
    expect(refusal(() => table.load('p', state, [9]))).toBe('SNAPSHOT_MISMATCH')
    table.load('p', state, [10])
  })
})
