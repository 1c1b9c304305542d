import { describe, expect, it } from 'vitest'
import { Trouble } from '../../../../infra/kafka/adapter/trouble.ts'

const PATIENCE_MS = 30_000

/** Failures at these times; what each was answered. */
const told = (times: readonly number[]): boolean[] => {
  let now = 0
  const trouble = new Trouble(PATIENCE_MS, () => now)
  return times.map((time) => {
    now = time
    return trouble.outlasts()
  })
}

describe('trouble', () => {
  it('outlasts the patience that failures one after the other use up', () => {
    const times = Array.from({ length: 32 }, (_, second) => 1_000 * second)
    expect(told(times).indexOf(true)).toBe(31)
  })

  it('takes one long silence, in which the process may have been stopped, for half of the patience', () => {
    expect(told([0, 45_000, 45_100])).toEqual([false, false, false])
    expect(told([0, 45_000, 90_000, 90_001])).toEqual([false, false, false, true])
  })

  it('begins anew when the cluster has answered', () => {
    let now = 0
    const trouble = new Trouble(PATIENCE_MS, () => now)
    expect(trouble.outlasts()).toBe(false)
    now = 14_000
    trouble.outlasts()
    trouble.over()
    now = 44_000
    expect(trouble.outlasts()).toBe(false)
    now = 58_000
    expect(trouble.outlasts()).toBe(false)
  })
})
