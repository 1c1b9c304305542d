import fc from 'fast-check'
import { expect, test } from 'vitest'
import { liveDefinitions, PolicyTable } from '../../../../operators/bandits/state/policy-table.ts'
import { codeOf } from '../../../../schemas/errors.ts'
import type { Outcome } from '../../../../schemas/generated/events.ts'
import { body, definitionOf, outcome } from '../definitions.ts'

const P = definitionOf('p', body())
const Q = definitionOf('q', body({ variant: 'shared' }))
const bytes = (table: PolicyTable, name = 'p') =>
  Buffer.from(table.get(name)!.policy.snapshot()).toString('base64')
const code = (run: () => void): string => {
  try {
    run()
    return 'none'
  } catch (error) {
    return codeOf(error, 'INVALID_EVENT')
  }
}

test('the newest live version of a policy decides; shadows are known and decide nothing', () => {
  const versions = [
    definitionOf('p', body(), { version: 2 }),
    P,
    definitionOf('p', body({ lambda: 3 }), { version: 3, mode: 'shadow' }),
  ]
  expect(liveDefinitions(versions).get('p')!.version).toBe(2)
  const live = new PolicyTable(versions).get('p')!
  expect(live).toMatchObject({ name: 'p', version: 2, hash: P.hash.slice(0, 16) })
  expect(new PolicyTable([versions[2]!]).get('p')).toBeUndefined()
})

test('versions of one meaning share a state from where the first began; another meaning has its own', () => {
  const second = definitionOf('p', body({ alpha: 2 }), { version: 2, effectiveFrom: 50 })
  expect(new PolicyTable([P, second]).get('p')!.from).toBe(0)
  const other = definitionOf('p', body({ lambda: 3 }), { version: 2, effectiveFrom: 50 })
  expect(new PolicyTable([P, other]).get('p')!.from).toBe(50)
})

test('an outcome counts once, and none from before the state began', () => {
  const table = new PolicyTable([definitionOf('p', body(), { effectiveFrom: 10 })])
  const empty = bytes(table)
  table.learn(outcome('early'), 9)
  expect(bytes(table)).toBe(empty)
  table.learn(outcome('one'), 10)
  const once = bytes(table)
  expect(once).not.toBe(empty)
  expect(table.get('p')!.stateOffset).toBe(11)
  table.learn(outcome('one'), 10)
  table.learn(outcome('one'), 3)
  expect(bytes(table)).toBe(once)
  expect(table.get('p')!.stateOffset).toBe(11)
})

test.each<[string, Partial<Outcome>, string]>([
  ['of an unknown policy', { policy: 'nobody' }, 'UNKNOWN_POLICY'],
  ["named as an object's own member", { policy: 'constructor' }, 'UNKNOWN_POLICY'],
  ['of another dimension', { vector: [1] }, 'WRONG_DIMENSION'],
  ['with NaN in its vector', { vector: [1, Number.NaN] }, 'NON_FINITE_NUMBER'],
  ['with an infinite reward', { reward: Number.POSITIVE_INFINITY }, 'NON_FINITE_NUMBER'],
  ['with propensity 0', { propensity: 0 }, 'INVALID_PROPENSITY'],
  ['with propensity 2', { propensity: 2 }, 'INVALID_PROPENSITY'],
  ['with propensity NaN', { propensity: Number.NaN }, 'INVALID_PROPENSITY'],
])('an outcome %s is refused and changes no state', (_, of, expected) => {
  const table = new PolicyTable([P, Q])
  table.learn(outcome('one'), 0)
  const before = [bytes(table), bytes(table, 'q')]
  expect(code(() => table.learn(outcome('bad', of), 1))).toBe(expected)
  expect([bytes(table), bytes(table, 'q')]).toEqual(before)
  table.learn(outcome('two'), 2)
  const without = new PolicyTable([P])
  without.learn(outcome('one'), 0)
  without.learn(outcome('two'), 2)
  expect(bytes(table)).toBe(bytes(without))
})

test('the states depend on the order within a policy alone, and on nothing refused in between', () => {
  const number = fc.double({ min: -5, max: 5, noNaN: true })
  const arbitrary = fc
    .record({
      policy: fc.constantFrom('p', 'q', 'nobody'),
      arm: fc.constantFrom('a', 'b'),
      vector: fc.oneof(
        { weight: 9, arbitrary: fc.tuple(number, number) },
        { weight: 1, arbitrary: fc.constant([Number.NaN, 1]) },
      ),
      reward: number,
      propensity: fc.constantFrom(0.995, 0.5, 0),
    })
    .map((of) => outcome('r', of))
  fc.assert(
    fc.property(fc.array(arbitrary, { maxLength: 40 }), fc.nat(40), (outcomes, seen) => {
      const fold = (some: readonly (readonly [Outcome, number])[], table = new PolicyTable([P, Q])) => {
        for (const [each, offset] of some) code(() => table.learn(each, offset))
        return table
      }
      const numbered = outcomes.map((each, offset) => [each, offset] as const)
      const whole = fold(numbered)
      const apart = fold(numbered.filter(([{ policy }]) => policy === 'q'))
      fold(
        numbered.filter(([{ policy }]) => policy === 'p'),
        apart,
      )
      // A follower that reads some again holds the same.
      const again = fold(numbered, fold(numbered.slice(0, seen)))
      for (const name of ['p', 'q']) {
        expect(bytes(apart, name)).toBe(bytes(whole, name))
        expect(bytes(again, name)).toBe(bytes(whole, name))
        expect(again.get(name)!.stateOffset).toBe(whole.get(name)!.stateOffset)
      }
    }),
  )
})
