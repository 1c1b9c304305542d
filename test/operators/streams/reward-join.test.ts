import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  JOIN_REASONS,
  type JoinInput,
  type JoinOutputs,
  RewardJoin,
  type RewardJoinOptions,
} from '../../../operators/streams/reward-join.ts'
import { decisionAt, rewardAt } from './events.ts'

const DECISIONS = 0
const REWARDS = 1
const options: RewardJoinOptions = {
  windowMs: 100,
  graceMs: 20,
  defaultReward: 0,
  maxFutureSkewMs: 1_000_000,
  idleMs: 1_000_000,
}

/** A join with its inputs numbered as they come; the clock stands still unless a test moves it. */
const joining = (overrides: Partial<RewardJoinOptions> = {}) => {
  const join = new RewardJoin({ ...options, ...overrides }, 2, 0)
  const outputs: JoinOutputs = { outcomes: [], corrections: [] }
  const offsets = [0, 0]
  const take = (input: JoinInput, now = 0) => join.step(input, now, outputs)
  return {
    join,
    outputs,
    decision: (id: string, at: number) =>
      take({ kind: 'decision', event: decisionAt(id, at), topic: DECISIONS, offset: offsets[DECISIONS]!++ }),
    reward: (id: string, at: number, value = 1, rewardId = '') =>
      take({
        kind: 'reward',
        event: rewardAt(id, at, value, rewardId),
        topic: REWARDS,
        offset: offsets[REWARDS]!++,
      }),
    advance: (now = 0) => join.advance(now, outputs),
    /** Moves both inputs' event time on. */
    until(time: number) {
      this.decision(`d${time}`, time)
      this.reward(`none${time}`, time)
      this.advance()
    },
  }
}

const ledgersHold = (join: RewardJoin) => {
  const { counts, waiting } = join
  const sum = (reasons: readonly (typeof JOIN_REASONS)[number][]) =>
    reasons.reduce((total, reason) => total + counts.reasons[reason], 0)
  const ofDecisions = JOIN_REASONS.filter(
    (reason) => reason.endsWith('-decision') && reason !== 'unknown-decision',
  )
  const decisionReasons = sum([...ofDecisions, 'decision-behind-watermark'])
  const rewardReasons = sum(JOIN_REASONS) - decisionReasons
  expect(counts.decisions).toBe(counts.outcomes + decisionReasons + waiting.decisions)
  expect(counts.rewards).toBe(counts.used + rewardReasons + waiting.rewards)
}

describe('a window', () => {
  test('closes with the reward that came in time, once event time has passed window and grace', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.reward('r', 1_050, 0.5)
    t.until(1_119)
    expect(t.outputs.outcomes).toEqual([])
    t.until(1_120)
    expect(t.outputs.outcomes).toHaveLength(1)
    expect(t.outputs.outcomes[0]).toMatchObject({
      requestId: 'r',
      arm: 'a',
      reward: 0.5,
      rewardKind: 'observed',
      rewardOccurredAt: 1_050,
      occurredAt: 1_000,
      closedAt: 1_120,
      vector: [1, 2],
      probabilities: [0.995, 0.005],
    })
    ledgersHold(t.join)
  })

  test('closes with the default reward when none came', () => {
    const t = joining({ defaultReward: -1 })
    t.decision('r', 1_000)
    t.until(1_200)
    expect(t.outputs.outcomes[0]).toMatchObject({
      reward: -1,
      rewardKind: 'defaulted',
      rewardOccurredAt: null,
    })
  })

  test('counts the reward at its very end and not the one after', () => {
    const t = joining()
    t.decision('in', 1_000)
    t.decision('out', 1_000)
    t.reward('in', 1_100)
    t.reward('out', 1_101)
    t.until(1_300)
    const of = (id: string) => t.outputs.outcomes.find(({ requestId }) => requestId === id)
    expect(of('in')?.reward).toBe(1)
    expect(of('out')?.reward).toBe(0)
    expect(t.join.counts.reasons['late-reward']).toBe(1)
    expect(t.outputs.corrections).toMatchObject([
      { requestId: 'out', reward: 1, recorded: 0, occurredAt: 1_101 },
    ])
    ledgersHold(t.join)
  })

  test('does not close while one input lags, and closes by the clock when all are idle', () => {
    const t = joining({ idleMs: 500 })
    t.decision('r', 1_000)
    t.decision('far', 9_000)
    t.advance(0)
    expect(t.outputs.outcomes).toEqual([])
    t.advance(20_000)
    expect(t.outputs.outcomes.map(({ requestId }) => requestId)).toEqual(['r', 'far'])
  })
})

describe('a reward', () => {
  test('before its decision waits for it', () => {
    const t = joining()
    t.reward('r', 1_010)
    t.decision('r', 1_000)
    t.until(1_200)
    expect(t.outputs.outcomes[0]).toMatchObject({ requestId: 'r', reward: 1 })
    ledgersHold(t.join)
  })

  test('whose decision never comes is counted as unknown when no window could still hold it', () => {
    const t = joining()
    t.reward('ghost', 1_000)
    t.until(1_119)
    expect(t.join.counts.reasons['unknown-decision']).toBe(0)
    t.until(1_120)
    expect(t.join.counts.reasons['unknown-decision']).toBe(1)
    ledgersHold(t.join)
  })

  test('sent twice counts once; the earlier of two different ones is used', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.reward('r', 1_050, 2, 'second')
    t.reward('r', 1_050, 2, 'second')
    t.reward('r', 1_040, 5, 'first')
    t.until(1_200)
    expect(t.outputs.outcomes[0]).toMatchObject({ reward: 5 })
    expect(t.join.counts.reasons).toMatchObject({ 'duplicate-reward': 1, 'surplus-reward': 1 })
    ledgersHold(t.join)
  })

  test('after the close becomes a correction, unless it is the used one again', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.reward('r', 1_050)
    t.until(1_200)
    t.reward('r', 1_050)
    t.reward('r', 1_060, 7)
    t.reward('r', 1_150, 8)
    expect(t.join.counts.reasons).toMatchObject({
      'duplicate-reward': 1,
      'reward-behind-watermark': 1,
      'late-reward': 1,
    })
    expect(t.outputs.corrections.map(({ reward }) => reward)).toEqual([7, 8])
    ledgersHold(t.join)
  })
})

describe('a decision', () => {
  test('sent twice makes one outcome, before its close and after', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.decision('r', 1_000)
    t.until(1_200)
    t.decision('r', 1_000)
    expect(t.outputs.outcomes).toHaveLength(1)
    expect(t.join.counts.reasons['duplicate-decision']).toBe(2)
    ledgersHold(t.join)
  })

  test('behind the watermark is counted, since its window has closed', () => {
    const t = joining()
    t.until(2_000)
    t.decision('old', 1_000)
    expect(t.join.counts.reasons['decision-behind-watermark']).toBe(1)
    ledgersHold(t.join)
  })

  test('is remembered for the horizon only, so that memory stays bounded', () => {
    const t = joining()
    t.decision('r', 1_000)
    t.until(5_000)
    t.reward('r', 1_050)
    expect(t.join.counts.reasons['unknown-decision']).toBe(1)
    expect(t.outputs.corrections).toEqual([])
  })
})

/** A day in which the inputs are at most `grace` out of order: decisions 7 ms apart, some with rewards. */
const story = fc.array(
  fc.record({
    rewarded: fc.constantFrom('none', 'once', 'twice', 'late'),
    delay: fc.integer({ min: 1, max: 99 }),
  }),
  { minLength: 1, maxLength: 30 },
)
type Story = readonly { readonly rewarded: string; readonly delay: number }[]

const inputsOf = (days: Story): JoinInput[] => {
  const rewards: JoinInput[] = []
  const decisions = days.map(({ rewarded, delay }, i): JoinInput => {
    const at = 1_000 + 7 * i
    const give = (when: number, id: string) =>
      rewards.push({ kind: 'reward', event: rewardAt(`r${i}`, when, i + 1, id), topic: REWARDS, offset: 0 })
    if (rewarded === 'late') give(at + 100 + delay, 'late')
    else if (rewarded !== 'none') give(at + delay, 'first')
    if (rewarded === 'twice') give(at + 99, 'second')
    return { kind: 'decision', event: decisionAt(`r${i}`, at), topic: DECISIONS, offset: i }
  })
  rewards.sort((a, b) => a.event.occurredAt - b.event.occurredAt)
  return [...decisions, ...rewards.map((input, offset) => ({ ...input, offset }))]
}

const END: readonly JoinInput[] = [
  { kind: 'decision', event: decisionAt('end', 100_000), topic: DECISIONS, offset: 10_000 },
  { kind: 'reward', event: rewardAt('end', 100_000), topic: REWARDS, offset: 10_000 },
]

const ids = ({ outcomes, corrections }: JoinOutputs) => ({
  outcomes: outcomes.map(({ requestId, reward }) => `${requestId}=${reward}`).sort(),
  corrections: corrections.map(({ requestId, reward }) => `${requestId}=${reward}`).sort(),
})

/** Merges the two topics in an order drawn from `picks`, each topic in its own order. */
const interleave = (inputs: readonly JoinInput[], picks: readonly boolean[]): JoinInput[] => {
  const queues = [DECISIONS, REWARDS].map((topic) => inputs.filter((input) => input.topic === topic))
  const merged: JoinInput[] = []
  for (let i = 0; queues.some((queue) => queue.length > 0); i++) {
    const queue = queues[picks[i % picks.length] ? 1 : 0]!
    merged.push((queue.length > 0 ? queue : queues.find((other) => other.length > 0)!).shift()!)
  }
  return merged
}

test('every interleaving of the topics gives the same outcomes, corrections and reasons', () => {
  fc.assert(
    fc.property(story, fc.array(fc.boolean(), { minLength: 1 }), (days, picks) => {
      const play = (inputs: readonly JoinInput[]) => {
        const { join, outputs } = joining()
        for (const input of [...inputs, ...END]) {
          join.step(input, 0, outputs)
          join.advance(0, outputs)
        }
        ledgersHold(join)
        return { ...ids(outputs), reasons: join.counts.reasons }
      }
      expect(play(interleave(inputsOf(days), picks))).toEqual(play(inputsOf(days)))
    }),
  )
})

test('a join rebuilt from its committed progress emits exactly what was not yet emitted', () => {
  fc.assert(
    fc.property(story, fc.array(fc.boolean(), { minLength: 1 }), fc.nat(), (days, picks, crash) => {
      const inputs = [...interleave(inputsOf(days), picks), ...END]
      const at = crash % inputs.length
      const whole = joining()
      const before: JoinOutputs = { outcomes: [], corrections: [] }
      for (const [i, input] of inputs.entries()) {
        whole.join.step(input, 0, i < at ? before : whole.outputs)
        whole.join.advance(0, i < at ? before : whole.outputs)
      }

      const first = joining()
      for (const input of inputs.slice(0, at)) {
        first.join.step(input, 0, first.outputs)
        first.join.advance(0, first.outputs)
      }
      const { progress } = first.join
      const second = joining()
      for (const input of inputs.slice(0, at)) {
        const from = progress.earliest[input.topic]!
        if (from >= 0 && input.offset >= from) second.join.rebuild(input)
      }
      second.join.resume(progress)
      for (const input of inputs.slice(at)) {
        second.join.step(input, 0, second.outputs)
        second.join.advance(0, second.outputs)
      }
      expect(ids(second.outputs).outcomes).toEqual(ids(whole.outputs).outcomes)
      ledgersHold(second.join)
    }),
  )
})
