/** Several versions of a policy in one table: what each state is, and that promotion and demotion change none. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PolicyDefinitionBody } from '../../../../operators/bandits/state/definition.ts'
import { PolicyTable } from '../../../../operators/bandits/state/policy-table.ts'
import { partKey, partOf } from '../../../../operators/bandits/state/split.ts'
import { challengersOf, formerOf, learnsFrom } from '../../../../operators/bandits/state/versions.ts'
import type { Outcome, PolicyDefinition } from '../../../../schemas/generated/events.ts'
import { body, definitionOf, outcome } from '../definitions.ts'

const short = ({ hash }: PolicyDefinition) => hash.slice(0, 16)
const shadow = (version: number, definition: PolicyDefinitionBody, effectiveFrom = 0) =>
  definitionOf('p', definition, { version, mode: 'shadow', effectiveFrom })

/** Version 1 decides; 2 has another λ, 3 that λ and another α, 4 other features of the same dimension. */
const V1 = definitionOf('p', body())
const V2 = shadow(2, body({ lambda: 3 }), 5)
const V3 = shadow(3, body({ lambda: 3, alpha: 2 }), 9)
const V4 = shadow(4, { ...body(), features: { names: ['x', 'y'] } }, 3)
const ALL = [V1, V2, V3, V4]

const live = (definitions: readonly PolicyDefinition[], ...versions: number[]) =>
  definitions.map((each) => (versions.includes(each.version) ? { ...each, mode: 'live' as const } : each))

const by = (maker: PolicyDefinition, id: string, of: Partial<Outcome> = {}): Outcome =>
  outcome(id, { policyVersion: maker.version, policyHash: short(maker), ...of })

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
/** Every state held, by its hash. */
const states = (table: PolicyTable) =>
  Object.fromEntries(
    [...table.held()].map(({ name, stateHash }) => {
      const { bytes, offsets } = table.save(name, stateHash)
      return [stateHash, { bytes: base64(bytes), offsets }]
    }),
  )

/** Folds a log into a table from wherever its states are, as a follower does. */
const follow = (table: PolicyTable, log: readonly Outcome[], to = log.length): PolicyTable => {
  const from = Math.min(...[...table.held()].flatMap(({ offsets }) => offsets))
  for (let offset = from; offset < to; offset++) table.learn(log[offset]!, offset)
  return table
}

const logOf = (count: number, makers: readonly PolicyDefinition[] = [V1]): Outcome[] =>
  Array.from({ length: count }, (_, i) =>
    by(makers[i % makers.length]!, `r${i}`, { vector: [Math.sin(i), 1], arm: 'ab'[i % 2]!, reward: i % 3 }),
  )

describe('which version does what', () => {
  it('challengers are the shadows above the live version, the former one is the newest live one below it', () => {
    const versions = live(ALL, 1, 2)
    expect(challengersOf(versions, versions[1]!).map(({ version }) => version)).toEqual([3, 4])
    expect(formerOf(versions, versions[1]!)!.version).toBe(1)
    expect(challengersOf(ALL, V1).map(({ version }) => version)).toEqual([2, 3, 4])
    expect(formerOf(ALL, V1)).toBeUndefined()
  })

  it('a version learns from others with the same features in the same parts', () => {
    expect(learnsFrom(body(), body({ lambda: 3, alpha: 1 }))).toBe(true)
    expect(learnsFrom(body(), { ...body(), features: { names: ['x', 'y'] } })).toBe(false)
    expect(learnsFrom(body(), { ...body(), partitions: 2 })).toBe(false)
    expect(learnsFrom({ ...body(), partitions: 2, mergeEvery: 5 }, { ...body(), partitions: 2 })).toBe(true)
  })
})

describe('a table that holds shadows', () => {
  it('holds a state for the live version, the former one and each meaning of the challengers', () => {
    const held = [...new PolicyTable(ALL, { shadows: true }).held()]
    expect(held.map(({ version }) => version)).toEqual([1, 4, 3])
    // 2 and 3 share one, which begins where 2 does.
    expect(held[2]!.from).toBe(5)
    const promoted = [...new PolicyTable(live(ALL, 1, 2), { shadows: true }).held()]
    expect(promoted.map(({ version }) => version)).toEqual([2, 1, 4])
    expect([...new PolicyTable(ALL).held()]).toHaveLength(1)
  })

  it('folds the same outcomes into each of them as if it were alone', () => {
    const log = logOf(40)
    const table = follow(new PolicyTable(ALL, { shadows: true }), log)
    const alone = follow(new PolicyTable(live(ALL, 3)), log)
    expect(states(table)[V3.stateHash]).toEqual(states(alone)[V3.stateHash])
    expect(table.get('p')).toMatchObject({ version: 1, learned: 40 })
    const [, other, challenger] = [...table.held()]
    expect(challenger).toMatchObject({ version: 3, learned: 35 })
    // Its features are others: nothing is learned until it decides, and its offset goes on.
    expect(other).toMatchObject({ version: 4, learned: 0, offsets: [40] })
  })

  it('comes to the same bytes however versions are promoted and demoted meanwhile, and whoever decides', () => {
    const maker = fc.constantFrom(...ALL)
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({
          maker,
          arm: fc.constantFrom('a', 'b'),
          reward: fc.integer({ min: 0, max: 3 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom<readonly number[]>([1], [1, 2], [1, 3], [1, 4], [1, 2, 4], [1, 2, 3, 4]),
      },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const log = steps.flatMap((each, i) =>
          'maker' in each
            ? [by(each.maker, `r${i}`, { arm: each.arm, reward: each.reward, vector: [i / 9, 1] })]
            : [],
        )
        const moved = new PolicyTable(ALL, { shadows: true })
        let written = 0
        for (const each of steps) {
          if ('maker' in each) written++
          else moved.update(live(ALL, ...each))
          follow(moved, log, written)
        }
        moved.update(ALL)
        follow(moved, log)
        const undisturbed = follow(new PolicyTable(ALL, { shadows: true }), log)
        expect(states(moved)).toEqual(states(undisturbed))
      }),
      { numRuns: 60 },
    )
  })

  it('decides by the promoted version with the state that it has learned, and by the former one again', () => {
    const log = logOf(30)
    const table = follow(new PolicyTable(ALL, { shadows: true }), log)
    const before = states(table)
    expect(table.update(live(ALL, 1, 2))).toEqual([])
    expect(table.get('p')).toMatchObject({ version: 2, hash: short(V2), stateOffset: 30, learned: 25 })
    expect(table.update(ALL)).toEqual([])
    expect(table.get('p')).toMatchObject({ version: 1, hash: short(V1), stateOffset: 30, learned: 30 })
    expect(states(table)).toEqual(before)
  })

  it('says which states must be followed from earlier: those that it did not hold', () => {
    const table = follow(new PolicyTable([V1], { shadows: true }), logOf(30))
    const behind = table.update(ALL)
    expect(behind.map(({ version, offsets }) => [version, offsets])).toEqual([
      [4, [3]],
      [3, [5]],
    ])
    follow(table, logOf(30))
    expect(states(table)).toEqual(states(follow(new PolicyTable(ALL, { shadows: true }), logOf(30))))
  })

  it('keeps snapshots of states apart, and lets go of all but the live one', () => {
    const log = logOf(30)
    const table = follow(new PolicyTable(ALL, { shadows: true }), log)
    const again = new PolicyTable(ALL, { shadows: true })
    for (const { name, stateHash } of table.held()) {
      const { bytes, offsets } = table.save(name, stateHash)
      again.load(name, bytes, offsets, stateHash)
    }
    expect(states(again)).toEqual(states(table))
    for (const held of [...again.held()]) again.release(held)
    expect([...again.held()].map(({ version }) => version)).toEqual([1])
    expect(() => again.save('p', V2.stateHash)).toThrow(/no state/)
  })
})

it('passes over outcomes of versions with other features, and learns those of unknown versions by their dimension', () => {
  const table = new PolicyTable(live(ALL, 1, 4))
  for (const [offset, maker] of [V1, V4, V1, V4].entries()) table.learn(by(maker, `r${offset}`), offset)
  expect(table.get('p')).toMatchObject({ version: 4, learned: 1, stateOffset: 4 })
  expect(table.knows(by(V1, 'r'))).toBe(true)
  const unknown = outcome('r9', { policyHash: 'ffffffffffffffff' })
  expect(table.knows(unknown)).toBe(false)
  expect(table.knows({ ...unknown, policy: 'nobody' })).toBe(true)
  table.learn(unknown, 9)
  expect(table.get('p')!.learned).toBe(2)
})

describe('a syndicate', () => {
  const syndicate = (...lambda: number[]): PolicyDefinitionBody => ({
    algorithm: {
      kind: 'syndicated',
      base: { kind: 'linUcb', variant: 'disjoint' },
      candidates: { lambda },
    },
    features: { dense: 2 },
  })
  const S1 = definitionOf('p', syndicate(1, 2))
  const S2 = shadow(2, syndicate(2, 3))
  const drawn = { hyperParameters: [{ name: 'lambda', value: 2, probability: 0.5 }] }
  const folded = (definition: PolicyDefinition, each: Outcome) => {
    const table = new PolicyTable(live([S1, S2], definition.version))
    table.learn(each, 0)
    return base64(table.save('p').bytes)
  }

  it('judges its candidates by its own decisions alone', () => {
    expect(folded(S1, by(S1, 'r', drawn))).not.toBe(folded(S1, by(S1, 'r')))
    expect(folded(S2, by(S1, 'r', drawn))).toBe(folded(S2, by(S1, 'r')))
    expect(folded(S2, by(S2, 'r', drawn))).not.toBe(folded(S2, by(S2, 'r')))
  })
})

describe('a split policy', () => {
  const PARTS = 2
  const split = (lambda: number, of: Partial<PolicyDefinitionBody> = {}): PolicyDefinitionBody => ({
    ...body({ lambda }),
    partitions: PARTS,
    mergeEvery: 3,
    ...of,
  })
  const A = definitionOf('p', split(1))
  const B = shadow(2, split(4))
  const C = shadow(3, split(1, { features: { names: ['x', 'y'] } }))
  const D = shadow(4, split(1, { explorationFloor: 0.5 }))

  const logOfParts = (count: number, makers: readonly PolicyDefinition[]) => {
    const ends = [0, 0]
    return logOf(count, makers).map((each) => {
      const part = partOf(each.requestId, PARTS)
      const offset = ends[part]!
      ends[part] = offset + 1
      return { each, part, offset }
    })
  }
  const learnAll = (table: PolicyTable, log: ReturnType<typeof logOfParts>): PolicyTable => {
    for (const { each, part, offset } of log)
      table.learn(each, offset, Buffer.from(partKey('p', part, PARTS)))
    return table
  }

  it('counts what it passes over in its generations, so that all followers agree', () => {
    const log = logOfParts(60, [A, C])
    const table = learnAll(new PolicyTable([A, B, C], { shadows: true }), log)
    const [a, c, b] = [...table.held()]
    expect([a!.stateOffset, b!.stateOffset, c!.stateOffset]).toEqual([
      a!.stateOffset,
      a!.stateOffset,
      a!.stateOffset,
    ])
    expect(a!.learned).toBeGreaterThan(0)
    expect(a!.learned + c!.learned).toBe(PARTS * a!.stateOffset)
    expect(b!.learned).toBe(a!.learned)
  })

  it('goes on from its last generation when another version speaks for its state', () => {
    const log = logOfParts(50, [A])
    const table = learnAll(new PolicyTable([A, D], { shadows: true }), log.slice(0, 31))
    const before = table.get('p')!.offsets
    const behind = table.update(live([A, D], 4))
    expect(behind.map(({ version }) => version)).toEqual([4])
    expect(behind[0]!.offsets.some((offset, part) => offset < before[part]!)).toBe(true)
    learnAll(table, log)
    const whole = learnAll(new PolicyTable([A]), log)
    expect(base64(table.save('p').bytes)).toBe(base64(whole.save('p').bytes))
  })
})
