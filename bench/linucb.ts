/**
 * Disjoint LinUCB, decide and learn, one thread: millrace against the usual numpy loop (Sherman–Morrison on one array of inverses), in a
 * Python environment of its own where Python exists. Features of unit length on average, rewards linear with noise.
 */
import { decisionOutput, linUcb } from '../operators/bandits/index.ts'
import { Xoshiro128 } from '../operators/numerics/random.ts'
import { alternate, median, medianRatio, PAIRS, perSecond } from './measure.ts'
import { type NumpyPeer, startNumpy } from './peers/numpy.ts'
import type { BenchReport, BenchRow } from './report.ts'

const SIZES = [
  { d: 20, k: 10 },
  { d: 20, k: 50 },
  { d: 128, k: 100 },
] as const
const ALPHA = 0.25
const REQUESTS = 256

/** A policy and its stream of requests; each call decides one and learns its outcome. */
const stepper = (d: number, k: number): (() => void) => {
  const random = new Xoshiro128()
  random.seed(d, k, 1, 2)
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform())
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
  const policy = linUcb({ variant: 'disjoint', dimension: d, alpha: ALPHA, lambda: 1 })
  const output = decisionOutput(k)
  const outcome = { arm: '', vector: requests[0]!.vector, reward: 0, propensity: 1 }
  let t = 0
  return () => {
    const { vector, rewards, input } = requests[t++ % REQUESTS]!
    policy.decide(input, random.uniform, output)
    outcome.arm = arms[output.arm]!
    outcome.vector = vector
    outcome.reward = rewards[output.arm]!
    outcome.propensity = output.probabilities[output.arm]!
    policy.learn(outcome)
  }
}

export const run = async (): Promise<BenchReport> => {
  const rows: BenchRow[] = []
  const ratios: Record<string, number> = {}
  const missing: { peer: string; why: string }[] = []
  let numpy: NumpyPeer | undefined
  try {
    numpy = await startNumpy()
  } catch (error) {
    missing.push({ peer: 'numpy', why: error instanceof Error ? error.message : String(error) })
  }
  for (const { d, k } of SIZES) {
    const quantity = `d${d}k${k}PerSecond`
    const step = stepper(d, k)
    const ours = (): number => perSecond(step, d > 100 ? 50 : 1_000)
    const row = (who: string, version: string, values: readonly number[]): void => {
      rows.push({ who, version, variant: 'disjoint', d, k, threads: 1, decideLearnPerSecond: median(values) })
    }
    const version = `node ${process.versions.node}`
    if (numpy === undefined) {
      ours()
      row('millrace', version, Array.from({ length: PAIRS }, ours))
      continue
    }
    const peer = numpy
    const pairs = await alternate(ours, () => peer.measure(d, k))
    row('millrace', version, pairs.ours)
    row('numpy', peer.version, pairs.theirs)
    ratios[`linucb.${quantity}.numpy`] = medianRatio(pairs)
  }
  numpy?.close()
  return { bench: 'linucb', rows, ratios, missing }
}
