/** Reads histograms from `/metrics` in Prometheus' text format. */

/** Least upper bound of a bucket that holds so large a share of a histogram's observations, and how many there are. */
export const quantile = (
  metrics: string,
  name: string,
  share: number,
): { readonly bound: number; readonly count: number } => {
  const buckets = [...metrics.matchAll(new RegExp(`^${name}_bucket\\{le="([^"]+)"\\} (\\d+)`, 'gm'))].map(
    ([, le, count]) => ({
      bound: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le),
      count: Number(count),
    }),
  )
  const count = buckets.at(-1)?.count ?? 0
  const { bound } = buckets.find((bucket) => bucket.count >= share * count) ?? { bound: Number.NaN }
  return { bound, count }
}
