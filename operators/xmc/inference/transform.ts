/**
 * What a classifier's value becomes, and how it joins its parent's score (Yu et al. 2022, "PECOS", section 4.3): l-p hinge e^−max(0, 1−v)^p and
 * sigmoid are multiplied along the path, their logarithms added; `identity` keeps the last value alone.
 *
 * All of them rise with v, and none but `identity` lets a child score above its parent. So a score that must be reached gives a value that must
 * be reached, and most values need no exponential.
 */
import type { Transform } from '../model.ts'

export interface ScoreTransform {
  /** The root's score. */
  readonly root: number
  /** Of a node whose classifier says `value`, under a parent of score `parent`. Never NaN for finite values. */
  score(value: number, parent: number): number
  /** The same of many: `scores[i]` of `values[places[i]]`. Calls by number would leave each number on the heap. */
  scoreAll(
    values: Float64Array,
    places: Int32Array,
    count: number,
    parent: number,
    scores: Float64Array,
  ): void
  /**
   * A value below which `score(value, parent) < wanted` for certain, rounding included; +∞ where no value reaches it. It may be too low by
   * a hair, never too high.
   */
  leastValue(wanted: number, parent: number): number
}

/** Room for the rounding of exponents, which is below 10⁻¹². */
const MARGIN = 1e-11
/** Products below this are subnormal, or nearly: ratios say nothing there. */
const TINY = 1e-290

const power = (p: 1 | 2 | 3, h: number): number => (p === 1 ? h : p === 2 ? h * h : h * h * h)
const root = (p: 1 | 2 | 3, x: number): number => (p === 1 ? x : p === 2 ? Math.sqrt(x) : Math.cbrt(x))

type Score = ScoreTransform['score']
const over =
  (score: Score): ScoreTransform['scoreAll'] =>
  (values, places, count, parent, scores) => {
    for (let i = 0; i < count; i++) scores[i] = score(values[places[i]!]!, parent)
  }
const scoring = (score: Score) => ({ score, scoreAll: over(score) })

const hinge = (p: 1 | 2 | 3): ScoreTransform => ({
  root: 1,
  ...scoring((value, parent) => (value >= 1 ? parent : parent * Math.exp(-power(p, 1 - value)))),
  leastValue: (wanted, parent) => {
    if (wanted > parent) return Number.POSITIVE_INFINITY
    if (wanted < TINY) return Number.NEGATIVE_INFINITY
    return 1 - root(p, Math.log(parent / wanted) + MARGIN)
  },
})

const logHinge = (p: 1 | 2 | 3): ScoreTransform => ({
  root: 0,
  ...scoring((value, parent) => (value >= 1 ? parent : parent - power(p, 1 - value))),
  leastValue: (wanted, parent) => {
    if (wanted > parent) return Number.POSITIVE_INFINITY
    return 1 - root(p, (parent - wanted) * (1 + MARGIN) + MARGIN * (1 - parent))
  },
})

const sigmoid: ScoreTransform = {
  root: 1,
  ...scoring((value, parent) => parent / (1 + Math.exp(-value))),
  leastValue: (wanted, parent) => {
    if (wanted > parent) return Number.POSITIVE_INFINITY
    if (wanted < TINY) return Number.NEGATIVE_INFINITY
    const value = -Math.log((parent / wanted) * (1 + MARGIN) - 1)
    return value - MARGIN * (1 + Math.abs(value))
  },
}

const logSigmoid: ScoreTransform = {
  root: 0,
  ...scoring(
    (value, parent) =>
      parent - (value < 0 ? Math.log1p(Math.exp(value)) - value : Math.log1p(Math.exp(-value))),
  ),
  leastValue: (wanted, parent) => {
    if (wanted > parent) return Number.POSITIVE_INFINITY
    const value = -Math.log(Math.expm1((parent - wanted) * (1 + MARGIN) + MARGIN * (1 - parent)))
    return value - MARGIN * (1 + Math.abs(value))
  },
}

const identity: ScoreTransform = { root: 0, ...scoring((value) => value), leastValue: (wanted) => wanted }

/** By name. */
export const TRANSFORMS: Readonly<Record<Transform, ScoreTransform>> = {
  'l1-hinge': hinge(1),
  'l2-hinge': hinge(2),
  'l3-hinge': hinge(3),
  sigmoid,
  'log-l1-hinge': logHinge(1),
  'log-l2-hinge': logHinge(2),
  'log-l3-hinge': logHinge(3),
  'log-sigmoid': logSigmoid,
  identity,
}
