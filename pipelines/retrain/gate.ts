/**
 * The gate: whether a new model takes the place of the one served. Both are asked about the same held-out documents; the new one must be at least as good at each of
 * precision and propensity-scored precision at 1, 3 and 5, and better at one of them. The first model only has to be right now and then.
 */
import type { RankingMetrics } from '../../operators/xmc/evaluation/ranking-metrics.ts'

/** The k that are measured. */
export const AT: readonly number[] = [1, 3, 5]

/** Percentages by name: `precision@1`, `psp@3`, `recall@5`, `ndcg@5`. */
export type NamedMetrics = Readonly<Record<string, number>>

export const namedMetrics = ({ at, ...kinds }: RankingMetrics): NamedMetrics =>
  Object.fromEntries(
    (
      [
        ['precision', kinds.precision],
        ['psp', kinds.propensityScored],
        ['recall', kinds.recall],
        ['ndcg', kinds.ndcg],
      ] as const
    ).flatMap(([name, values]) => at.map((k, i) => [`${name}@${k}`, values[i]!])),
  )

const JUDGED = AT.flatMap((k) => [`precision@${k}`, `psp@${k}`])

/** Whether `candidate` passes against what is served; null where nothing is. */
export const passes = (candidate: NamedMetrics, served: NamedMetrics | null): boolean => {
  if (served === null) return candidate['precision@1']! > 0
  const gains = JUDGED.map((name) => candidate[name]! - served[name]!)
  return gains.every((gain) => gain >= 0) && gains.some((gain) => gain > 0)
}
