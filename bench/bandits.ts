/**
 * Contextual bandits, decide and learn, one thread: millrace's policies side by side with numpy (the ceiling of a hand-written loop), Vowpal Wabbit,
 * River and MABWiser, in a Python environment of its own where Python exists. Disjoint arms over one context; features of unit length on average, rewards
 * linear with noise. A peer without a policy of the kind is measured with what its users would take: its LinUCB, or Vowpal Wabbit's `cb_explore_adf`.
 *
 * Beside the throughputs: what a syndicate and a robust policy cost in LinUCBs, and the 99th percentile of one decision, each call timed.
 */
import { type AlgorithmDefinition, createPolicy, decisionOutput } from '../operators/bandits/index.ts'
import { standardNormal } from '../operators/numerics/normal.ts'
import { Xoshiro128 } from '../operators/numerics/random.ts'
import { alternate, median, medianRatio, percentile, perSecond } from './measure.ts'
import { type PythonPeers, startPython } from './peers/python.ts'
import type { BenchReport, BenchRow } from './report.ts'

const SIZES = [
  { d: 20, k: 10 },
  { d: 20, k: 50 },
  { d: 128, k: 100 },
] as const
const PACKAGES = ['numpy', 'vowpalwabbit', 'river', 'mabwiser'] as const
const REQUESTS = 256
const TIMED = 20_000

const linUcb = { kind: 'linUcb', variant: 'disjoint', alpha: 0.25, lambda: 1 } as const
const theory = { ...linUcb, alpha: 'theory' } as const
const POLICIES: Readonly<
  Record<string, { algorithm: AlgorithmDefinition; peers: readonly (typeof PACKAGES)[number][] }>
> = {
  linUcb: { algorithm: linUcb, peers: PACKAGES },
  linTs: { algorithm: { ...linUcb, kind: 'linTs', draws: 1 }, peers: ['numpy', 'vowpalwabbit', 'mabwiser'] },
  'linTs, 16 draws': {
    algorithm: { ...linUcb, kind: 'linTs' },
    peers: ['vowpalwabbit', 'mabwiser'],
  },
  'syndicated 5 × 3': {
    algorithm: {
      kind: 'syndicated',
      base: linUcb,
      candidates: { alpha: [0, 0.01, 0.1, 1, 10], lambda: [0.01, 0.1, 1] },
      rewardRange: [-1, 1],
    },
    peers: ['vowpalwabbit', 'river', 'mabwiser'],
  },
  'robust, 7 levels': {
    algorithm: { kind: 'robust', base: theory, levels: [0, 0.5, 1, 2, 4, 8, 16], rewardRange: [-1, 1] },
    peers: ['vowpalwabbit', 'river', 'mabwiser'],
  },
}

/** A policy and its stream of requests: decides one, then learns its outcome. */
const stepper = (algorithm: AlgorithmDefinition, d: number, k: number) => {
  const random = new Xoshiro128()
  random.seed(d, k, 1, 2)
  const normal = (): number => standardNormal(random.uniform())
  const arms = Array.from({ length: k }, (_, a) => `arm-${a}`)
  const weights = Array.from({ length: k * d }, () => normal() / Math.sqrt(d))
  const requests = Array.from({ length: REQUESTS }, () => {
    const vector = Float64Array.from({ length: d }, () => normal() / Math.sqrt(d))
    const vectors = new Float64Array(k * d)
    const rewards = new Float64Array(k)
    for (let a = 0; a < k; a++) {
      vectors.set(vector, a * d)
      for (let i = 0; i < d; i++) rewards[a]! += weights[a * d + i]! * vector[i]!
      rewards[a]! += 0.1 * normal()
    }
    return { vector, rewards, input: { arms, vectors, oneVector: true } }
  })
  const policy = createPolicy({ algorithm, features: { dense: d } })
  // Every arm is known from the start, as it is to the peers: what was never learned costs nothing to look at.
  for (let a = 0; a < k; a++) {
    const { vector, rewards } = requests[a % REQUESTS]!
    policy.learn({ arm: arms[a]!, vector, reward: rewards[a]!, propensity: 1 })
  }
  const output = decisionOutput(k)
  let t = 0
  const decide = (): void => policy.decide(requests[++t % REQUESTS]!.input, random.uniform, output)
  const learn = (): void => {
    const { vector, rewards } = requests[t % REQUESTS]!
    policy.learn({
      arm: arms[output.arm]!,
      vector,
      reward: rewards[output.arm]!,
      propensity: output.probabilities[output.arm]!,
      hyperParameters: output.hyperParameters,
    })
  }
  const step = (): void => {
    decide()
    learn()
  }
  return { decide, learn, step }
}

/** Microseconds of a decision that 99 of 100 stay below. */
const slowestDecision = ({ decide, learn, step }: ReturnType<typeof stepper>): number => {
  for (let i = 0; i < 2_000; i++) step()
  const times: number[] = []
  for (let i = 0; i < TIMED; i++) {
    const start = performance.now()
    decide()
    times.push(1_000 * (performance.now() - start))
    learn()
  }
  return percentile(times, 0.99)
}

export const run = async (): Promise<BenchReport> => {
  const rows: BenchRow[] = []
  const ratios: Record<string, number> = {}
  const missing: { peer: string; why: string }[] = []
  let python: PythonPeers | undefined
  try {
    python = await startPython('bandits.py', PACKAGES)
  } catch (error) {
    missing.push({ peer: PACKAGES.join(', '), why: error instanceof Error ? error.message : String(error) })
  }
  const node = `node ${process.versions.node}`
  for (const { d, k } of SIZES) {
    const round = d > 100 ? 20 : 500
    const plain = stepper(linUcb, d, k)
    for (const [policy, { algorithm, peers }] of Object.entries(POLICIES)) {
      const mine = stepper(algorithm, d, k)
      const ours = (): number => perSecond(mine.step, round)
      const row = (who: string, version: string, values: readonly number[]): void => {
        rows.push({ policy, d, k, who, decideLearnPerSecond: median(values), threads: 1, version })
      }
      const measured: number[] = []
      for (const peer of python === undefined ? [] : peers) {
        const asked = policy.startsWith('linTs') ? 'linTs' : 'linUcb'
        const pairs = await alternate(ours, () => python!.ask(peer, asked, d, k))
        measured.push(...pairs.ours)
        row(peer, python!.versions[peer]!, pairs.theirs)
        ratios[`bandits.${policy}.d${d}k${k}.${peer}`] = medianRatio(pairs)
      }
      const cost = await alternate(() => perSecond(plain.step, round), ours)
      measured.push(...cost.theirs)
      if (policy !== 'linUcb') ratios[`bandits.${policy}.d${d}k${k}.inLinUcbs`] = medianRatio(cost)
      row('millrace', node, measured)
      rows.push({ policy, d, k, who: 'millrace', decisionP99Us: slowestDecision(mine) })
    }
  }
  python?.close()
  return { bench: 'bandits', rows, ratios, missing }
}
