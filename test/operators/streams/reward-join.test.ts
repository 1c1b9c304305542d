import { describe, expect, test } from 'vitest'
import { JOIN_KINDS } from '../../../operators/streams/join-ledgers.ts'
import type { JoinInput, JoinOutputs, RewardJoinOptions } from '../../../operators/streams/join-options.ts'
import { RewardJoin } from '../../../operators/streams/reward-join.ts'
import { decisionAt, rewardAt } from './events.ts'

const DECISIONS = 0
const REWARDS = 1
const ACTIVATIONS = 2
const HOUR = 3_600_000
const options: RewardJoinOptions = {
  windowMs: 100,
  graceMs: 20,
  defaultReward: 0,
  maxFutureSkewMs: 1_000_000,
  idleMs: 1_000,
}

/** A join with its records numbered as they come; the clock stands still, far ahead, unless a test says otherwise. */
const joining = (overrides: Partial<RewardJoinOptions> = {}) => {
  const topics = overrides.activation === 'deferred' ? 3 : 2
  const records: JoinInput[] = []
  let join = new RewardJoin({ ...options, ...overrides }, topics)
  const outputs: JoinOutputs = { closings: [], corrections: [] }
  const offsets = [0, 0, 0]
  const take = (input: JoinInput, now = 1e6) => {
    records.push(input)
    return join.step(input, now, outputs)
  }
  const place = (topic: number, timestamp: number) => ({ topic, offset: offsets[topic]!++, timestamp })
  return {
    get join() {
      return join
    },
    outputs,
    decision: (id: string, at: number, { timestamp = at, now = 1e6 } = {}) => {
      const where = place(DECISIONS, timestamp)
      return take(
        { kind: 'decision', event: decisionAt(id, at), handle: where.offset, bytes: 100, ...where },
        now,
      )
    },
    reward: (id: string, at: number, value = 1, rewardId = '', { timestamp = at, now = 1e6 } = {}) =>
      take({ kind: 'reward', event: rewardAt(id, at, value, rewardId), ...place(REWARDS, timestamp) }, now),
    activation: (requestId: string, at: number) =>
      take({ kind: 'activation', event: { requestId, occurredAt: at }, ...place(ACTIVATIONS, at) }),
    advance: (now = 1e6, silent: readonly number[] = []) => join.advance(now, outputs, new Set(silent)),
    /** Moves every input's event time on. */
    until(time: number) {
      this.decision(`d${time}`, time)
      this.reward(`none${time}`, time)
      if (topics > 2) this.activation(`none${time}`, time)
      this.advance()
    },
    outcome: (id: string) => outputs.closings.find(({ requestId }) => requestId === id),
    reasons: () => ({
      ...join.counts.activations.reasons,
      ...join.counts.decisions.reasons,
      ...join.counts.rewards.reasons,
    }),
    /** Makes the join again from its progress. */
    rebuild() {
      const { progress } = join
      join = new RewardJoin({ ...options, ...overrides }, topics)
      join.restore(progress)
      for (const input of records) {
        const from = progress.earliest[input.topic]!
        if (from >= 0 && input.offset >= from) join.rebuild(input)
      }
      join.resume()
      return progress
    },
    ledgersHold() {
      for (const kind of JOIN_KINDS) {
        const { taken, used, pending, reasons } = join.counts[kind]
        expect(taken).toBe(used + pending + Object.values(reasons).reduce((sum, count) => sum + count, 0))
      }
      expect(JOIN_KINDS.reduce((sum, kind) => sum + join.counts[kind].taken, 0)).toBe(records.length)
    },
  }
}

describe('a window', () => {
  test('closes with the reward that came in time, once event time has passed window and grace', () => {
    const t = joining()
    expect(t.decision('r', 1_000)).toBe('held')
    t.reward('r', 1_050, 0.5)
    t.until(1_119)
    expect(t.outputs.closings).toEqual([])
    t.until(1_120)
    expect(t.outputs.closings).toEqual([
      {
        requestId: 'r',
        handle: 0,
        offset: 0,
        used: true,
        closedAt: 1_120,
        reward: 0.5,
        rewardKind: 'observed',
        rewardOccurredAt: 1_050,
      },
    ])
    t.ledgersHold()
  })

  test('closes with the default reward when none came', () => {
    const t = joining({ defaultReward: -1 })
    t.decision('r', 1_000)
    t.until(1_200)
    expect(t.outcome('r')).toMatchObject({ reward: -1, rewardKind: 'defaulted', rewardOccurredAt: null })
  })

  test('counts the reward at its very end and not the one after', () => {
    const t = joining()
    t.decision('in', 1_000)
    t.decision('out', 1_000)
    t.reward('in', 1_100)
    t.reward('out', 1_101)
    t.until(1_300)
    expect(t.outcome('in')?.reward).toBe(1)
    expect(t.outcome('out')?.reward).toBe(0)
    expect(t.reasons()['late-reward']).toBe(1)
    expect(t.outputs.corrections).toMatchObject([
      { requestId: 'out', reward: 1, recorded: 0, occurredAt: 1_101 },
    ])
    t.ledgersHold()
  })

  test('does not close while one input lags, closes when that one is silent, and by the clock when all are', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.decision('far', 9_000)
    t.advance()
    expect(t.outputs.closings).toEqual([])
    t.advance(1e6, [REWARDS])
    expect(t.outputs.closings.map(({ requestId }) => requestId)).toEqual(['r'])
    t.advance(20_000, [DECISIONS, REWARDS])
    expect(t.outputs.closings.map(({ requestId }) => requestId)).toEqual(['r', 'far'])
  })

  test('closes with others in parts of a given size, those of one millisecond together', () => {
    const t = joining()
    for (const [id, at] of [
      ['a', 1_000],
      ['b', 1_001],
      ['c', 1_001],
      ['d', 1_002],
    ] as const)
      t.decision(id, at)
    t.decision('end', 5_000)
    t.reward('end', 5_000)
    const parts: string[] = []
    for (let more = true; more; ) {
      const part: JoinOutputs = { closings: [], corrections: [] }
      more = t.join.advance(1e6, part, new Set(), 1)
      parts.push(part.closings.map(({ requestId }) => requestId).join(''))
      expect(t.join.progress.watermark).toBe([1_120, 1_121, 5_000][parts.length - 1])
    }
    expect(parts).toEqual(['a', 'bc', 'd'])
  })
})

describe('of several rewards in the window', () => {
  const closed = (rewards: 'first' | 'last' | 'sum') => {
    const t = joining({ rewards })
    t.decision('r', 1_000)
    t.reward('r', 1_050, 0.2, 'second')
    t.reward('r', 1_040, 0.1, 'first')
    t.reward('r', 1_060, 0.7, 'third')
    t.until(1_200)
    t.ledgersHold()
    return [t.outcome('r')?.reward, t.outcome('r')?.rewardOccurredAt, t.reasons()['surplus-reward']]
  }
  test('the first is used, or the last, or their sum in the order in which they occurred', () => {
    expect(closed('first')).toEqual([0.1, 1_040, 2])
    expect(closed('last')).toEqual([0.7, 1_060, 2])
    expect(closed('sum')).toEqual([0.1 + 0.2 + 0.7, 1_060, 0])
  })

  test('a thousand are told apart as well as two', () => {
    const t = joining({ rewards: 'sum' })
    t.decision('r', 1_000)
    for (let turn = 0; turn < 2; turn++) for (let i = 0; i < 1_000; i++) t.reward('r', 1_010, 1, `id-${i}`)
    t.until(1_200)
    expect(t.outcome('r')?.reward).toBe(1_000)
    expect(t.reasons()['duplicate-reward']).toBe(1_000)
    t.ledgersHold()
  })
})

describe('a reward', () => {
  test('before its decision waits for it', () => {
    const t = joining()
    t.reward('r', 1_010)
    t.decision('r', 1_000)
    t.until(1_200)
    expect(t.outcome('r')).toMatchObject({ reward: 1 })
    t.ledgersHold()
  })

  test('whose decision never comes is counted as unknown when no window could still hold it', () => {
    const t = joining()
    t.reward('ghost', 1_000)
    t.until(1_119)
    expect(t.join.counts.rewards.pending).toBe(2)
    expect(t.reasons()['unknown-decision']).toBe(0)
    t.until(1_120)
    expect(t.reasons()['unknown-decision']).toBe(1)
    t.ledgersHold()
  })

  test.each(['before its decision', 'before the close', 'after it'])(
    'sent again %s is a duplicate; with another time or value it conflicts, and the first stands',
    (when) => {
      const t = joining()
      const send = () => {
        t.reward('r', 1_050, 2, 'x')
        t.reward('r', 1_050, 2, 'x')
        t.reward('r', 1_049, 2, 'x')
        t.reward('r', 1_050, 3, 'x')
      }
      if (when === 'before its decision') send()
      t.decision('r', 1_000)
      if (when === 'before the close') send()
      if (when === 'after it') t.reward('r', 1_050, 2, 'x')
      t.until(1_200)
      if (when === 'after it') {
        t.reward('r', 1_050, 2, 'x')
        t.reward('r', 1_049, 2, 'x')
        t.reward('r', 1_050, 3, 'x')
      }
      expect(t.outcome('r')).toMatchObject({ reward: 2, rewardOccurredAt: 1_050 })
      expect(t.reasons()).toMatchObject({
        'duplicate-reward': 1,
        'conflicting-reward': 2,
        'surplus-reward': 0,
      })
      expect(t.outputs.corrections).toEqual([])
      t.ledgersHold()
    },
  )

  test('too late for an open window waits for its close, since the correction says what was recorded', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.reward('r', 1_101, 9)
    t.reward('r', 1_020, 4, 'in time')
    expect(t.join.counts.rewards.pending).toBe(2)
    expect(t.reasons()['late-reward']).toBe(0)
    t.until(1_200)
    expect(t.reasons()['late-reward']).toBe(1)
    expect(t.outputs.corrections).toMatchObject([{ reward: 9, recorded: 4 }])
    t.ledgersHold()
  })

  test('after the close becomes a correction at once', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.reward('r', 1_050)
    t.until(1_200)
    t.reward('r', 1_060, 7, 'seven')
    t.reward('r', 1_150, 8, 'eight')
    expect(t.reasons()).toMatchObject({ 'reward-behind-watermark': 1, 'late-reward': 1 })
    expect(
      t.outputs.corrections.map(({ reward, recorded, policy, arm }) => [reward, recorded, policy, arm]),
    ).toEqual([
      [7, 1, 'p', 'a'],
      [8, 1, 'p', 'a'],
    ])
    t.ledgersHold()
  })

  test('that its own topic brings when the window must have closed is behind, though the other topic holds the close back', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.reward('other', 1_120)
    t.reward('r', 1_050)
    expect(t.outputs.closings).toEqual([])
    t.until(1_200)
    expect(t.outcome('r')).toMatchObject({ rewardKind: 'defaulted' })
    expect(t.reasons()['reward-behind-watermark']).toBe(1)
    expect(t.outputs.corrections).toHaveLength(1)
  })
})

describe('a decision', () => {
  test('sent twice makes one outcome, before its close and after', () => {
    const t = joining()
    expect(t.decision('r', 1_000)).toBe('held')
    expect(t.decision('r', 1_000)).toBe('taken')
    t.until(1_200)
    t.decision('r', 1_000)
    expect(t.outputs.closings.filter(({ requestId }) => requestId === 'r')).toHaveLength(1)
    expect(t.reasons()['duplicate-decision']).toBe(2)
    t.ledgersHold()
  })

  test('behind the watermark is counted, since its window has closed', () => {
    const t = joining()
    t.until(2_000)
    t.decision('old', 1_000)
    expect(t.reasons()['decision-behind-watermark']).toBe(1)
    t.ledgersHold()
  })

  test('is remembered with its rewards for the horizon only, so that memory stays bounded', () => {
    const t = joining({ horizonMs: 50 })
    t.decision('r', 1_000)
    t.reward('r', 1_050)
    t.until(1_169)
    t.reward('r', 1_050, 3)
    expect(t.reasons()['conflicting-reward']).toBe(1)
    t.until(1_300)
    // The first records are needed no more.
    for (const earliest of t.join.progress.earliest) expect(earliest).toBeGreaterThan(0)
    t.reward('r', 1_050)
    expect(t.reasons()['unknown-decision']).toBeGreaterThan(0)
    expect(t.outputs.corrections).toEqual([])
  })
})

describe('with activation deferred', () => {
  const deferred = () => joining({ activation: 'deferred' })

  test('a decision that was shown within its window makes an outcome; the others none, and their rewards neither', () => {
    const t = deferred()
    t.activation('early', 1_005)
    for (const id of ['early', 'shown', 'unseen', 'late']) t.decision(id, 1_000)
    for (const id of ['early', 'shown', 'unseen', 'late']) t.reward(id, 1_050)
    t.activation('shown', 1_100)
    t.activation('shown', 1_010)
    t.activation('late', 1_101)
    t.activation('nobody', 1_000)
    t.until(1_200)
    expect(t.outputs.closings.map(({ requestId, used }) => [requestId, used])).toEqual([
      ['early', true],
      ['shown', true],
      ['unseen', false],
      ['late', false],
    ])
    expect(t.join.counts.decisions).toMatchObject({ used: 2, reasons: { 'not-activated': 2 } })
    expect(t.join.counts.rewards).toMatchObject({ used: 2, reasons: { 'not-activated': 2 } })
    expect(t.join.counts.activations).toMatchObject({
      used: 2,
      reasons: { 'duplicate-activation': 1, 'late-activation': 1, 'unknown-decision': 1 },
    })
    t.ledgersHold()
  })

  test('one that comes after the close is behind, and rewards of what was never shown correct nothing', () => {
    const t = deferred()
    t.decision('r', 1_000)
    t.until(1_200)
    t.activation('r', 1_050)
    t.reward('r', 1_150)
    expect(t.reasons()).toMatchObject({ 'activation-behind-watermark': 1, 'late-reward': 1 })
    expect(t.outputs.corrections).toEqual([])
    t.ledgersHold()
  })
})

describe('a wrong clock', () => {
  test('counts no further than the time of its record allows, so that 2099 closes nothing', () => {
    const t = joining({ maxFutureSkewMs: 50 })
    const now = 1_000
    t.decision('r', 990, { now })
    t.decision('wrong', 4_070_908_800_000, { timestamp: 1_000, now })
    t.reward('wrong', 4_070_908_800_000, 1, '', { timestamp: 1_000, now })
    t.advance(now)
    expect(t.join.progress.watermark).toBe(1_000)
    expect(t.outputs.closings).toEqual([])
    t.reward('r', 1_010, 1, '', { now })
    t.until(2_000)
    expect(t.outcome('r')).toMatchObject({ reward: 1 })
    expect(t.outcome('wrong')).toMatchObject({ closedAt: 1_170, reward: 1 })
    t.ledgersHold()
  })

  test('of producer and record together is refused and counted, in a rebuild too', () => {
    const t = joining({ maxFutureSkewMs: 50 })
    const far = { timestamp: 4_070_908_800_000, now: 1_000 }
    t.decision('r', 990, { now: 1_000 })
    expect(t.decision('wrong', 4_070_908_800_000, far)).toBe('from-the-future')
    expect(t.reward('wrong', 1_000 + 51 + HOUR, 1, '', far)).toBe('from-the-future')
    expect(t.reward('right', 1_000 + 50 + HOUR, 1, '', far)).toBe('taken')
    expect(t.reasons()['from-the-future']).toBe(1)
    expect(t.join.counts.rewards.reasons['from-the-future']).toBe(1)
    t.ledgersHold()
    t.rebuild()
    t.ledgersHold()
    expect(t.join.counts.decisions).toMatchObject({ pending: 1, reasons: { 'from-the-future': 1 } })
  })

  test('makes nobody else late, however short the window', () => {
    const t = joining({ maxFutureSkewMs: 10_000 })
    t.decision('wrong', 9_000, { timestamp: 1_000 })
    t.reward('wrong', 9_000, 1, '', { timestamp: 1_000 })
    t.decision('r', 1_001)
    t.reward('r', 1_050)
    t.until(1_200)
    expect(t.outcome('r')).toMatchObject({ reward: 1 })
    expect(t.reasons()).toMatchObject({ 'decision-behind-watermark': 0, 'reward-behind-watermark': 0 })
  })

  test('in 1970 is behind, and hurts nobody else', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.decision('old', 0)
    t.reward('r', 0, 5, 'old')
    t.reward('r', 1_050)
    t.until(1_200)
    expect(t.reasons()['decision-behind-watermark']).toBe(1)
    expect(t.outcome('r')).toMatchObject({ reward: 5 })
    t.ledgersHold()
  })
})

describe('a rebuilt join', () => {
  test('knows what it had closed: late rewards correct it, repeated ones are recognised, and counts go on', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.reward('r', 1_050, 4)
    t.until(1_200)
    t.rebuild()
    t.ledgersHold()
    t.reward('r', 1_050, 4)
    t.reward('r', 1_150, 9, 'late')
    t.decision('r', 1_000)
    expect(t.reasons()).toMatchObject({ 'duplicate-reward': 1, 'late-reward': 1, 'duplicate-decision': 1 })
    expect(t.outputs.corrections).toMatchObject([{ reward: 9, recorded: 4, policy: 'p', arm: 'a' }])
    expect(t.outputs.closings.filter(({ requestId }) => requestId === 'r')).toHaveLength(1)
    t.ledgersHold()
  })

  test('asks no handle for what had closed', () => {
    const t = joining()
    t.decision('closed', 1_000)
    t.decision('open', 1_150)
    t.reward('x', 1_140)
    t.advance()
    const progress = t.join.progress
    const again = new RewardJoin(options, 2)
    again.restore(progress)
    const input = (id: string, at: number, offset: number) =>
      ({
        kind: 'decision',
        event: decisionAt(id, at),
        topic: 0,
        offset,
        timestamp: at,
        handle: offset,
        bytes: 1,
      }) as const
    expect(again.rebuild(input('closed', 1_000, 0))).toBe('taken')
    expect(again.rebuild(input('open', 1_150, 1))).toBe('held')
  })

  test('keeps apart two decisions of one request, the second made when the first was out of time', () => {
    const t = joining({ horizonMs: 300 })
    t.decision('r', 1_000)
    t.decision('anchor', 1_000)
    t.reward('anchor', 900, 1, 'first')
    t.reward('r', 1_350, 5, 'of the first')
    t.reward('anchor', 1_600, 1, 'second')
    t.decision('filler', 1_430)
    t.decision('r', 1_430)
    t.advance()
    t.decision('filler 2', 1_480)
    t.advance()
    const before = t.join.counts.decisions.taken
    t.rebuild()
    expect(t.join.counts.decisions.taken).toBe(before)
    t.until(3_000)
    expect(
      t.outputs.closings.filter(({ requestId }) => requestId === 'r').map(({ reward }) => reward),
    ).toEqual([0, 0])
    t.ledgersHold()
  })

  test('loses and doubles nothing where inputs had been silent', () => {
    const t = joining({ horizonMs: 10_000 })
    t.reward('early', 1_000)
    t.decision('a', 1_000)
    t.advance(5_000, [DECISIONS, REWARDS])
    expect(t.outputs.closings.map(({ requestId }) => requestId)).toEqual(['a'])
    t.decision('b', 4_500)
    t.reward('b', 4_510)
    t.reward('a', 1_050)
    t.decision('a', 1_000)
    t.advance(5_000)
    t.rebuild()
    t.reward('b', 4_510)
    t.until(9_000)
    expect(t.outputs.closings.map(({ requestId, reward }) => [requestId, reward])).toEqual([
      ['a', 0],
      ['b', 1],
    ])
    expect(t.reasons()).toMatchObject({
      'duplicate-reward': 1,
      'reward-behind-watermark': 1,
      'duplicate-decision': 1,
    })
  })
})
