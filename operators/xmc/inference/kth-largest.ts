/**
 * The k-th largest of the first `count` values, which are put into another order (Hoare 1961, "Find"): the median of three splits what is left. Cost: O(count)
 * on average.
 * @param k from 1 to `count`
 */
export const kthLargest = (values: Float64Array, count: number, k: number): number => {
  let low = 0
  let high = count - 1
  const target = k - 1
  while (low < high) {
    const a = values[low]!
    const b = values[(low + high) >> 1]!
    const c = values[high]!
    const pivot = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c))
    let i = low
    let j = high
    while (i <= j) {
      while (values[i]! > pivot) i++
      while (values[j]! < pivot) j--
      if (i > j) break
      const swap = values[i]!
      values[i++] = values[j]!
      values[j--] = swap
    }
    if (target <= j) high = j
    else if (target >= i) low = i
    else break
  }
  return values[target]!
}
