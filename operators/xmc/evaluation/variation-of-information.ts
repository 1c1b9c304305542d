/**
 * How far two ways to split the same things are apart (Meilă 2007, "Comparing clusterings"): 0 for the same split, 2 ln 2 for two even halves that know
 * nothing of each other. Natural logarithms.
 */
import { MillraceError } from '../../../schemas/errors.ts'

/** Added to every share, so that none is zero; as the paper's own code has it. */
const LEAST_SHARE = 1e-8

/**
 * −Σ r(i, j) (ln r(i, j)/p(i) + ln r(i, j)/q(j)), r the shares of things in part i of the one and j of the other split, p and q those of the parts.
 *
 * @param first part of each thing: 0, 1, …
 * @param second its part in the other split
 * @throws MillraceError WRONG_DIMENSION where lengths differ, INVALID_EVENT where there is nothing
 */
export const variationOfInformation = (first: ArrayLike<number>, second: ArrayLike<number>): number => {
  const count = first.length
  if (second.length !== count)
    throw new MillraceError('WRONG_DIMENSION', `${count} things in one split, ${second.length} in the other`)
  if (count === 0) throw new MillraceError('INVALID_EVENT', 'there is nothing to split')
  const rows = largest(first) + 1
  const columns = largest(second) + 1
  const joint = new Float64Array(rows * columns).fill(LEAST_SHARE)
  const left = new Float64Array(rows).fill(LEAST_SHARE)
  const right = new Float64Array(columns).fill(LEAST_SHARE)
  for (let i = 0; i < count; i++) {
    joint[first[i]! * columns + second[i]!]! += 1 / count
    left[first[i]!]! += 1 / count
    right[second[i]!]! += 1 / count
  }
  let information = 0
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const share = joint[i * columns + j]!
      information -= share * (Math.log(share / left[i]!) + Math.log(share / right[j]!))
    }
  }
  return information
}

const largest = (parts: ArrayLike<number>): number => {
  let most = 0
  for (let i = 0; i < parts.length; i++) if (parts[i]! > most) most = parts[i]!
  return most
}
