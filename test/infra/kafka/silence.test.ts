/** Silence is what the broker vouches for, whatever stood still in between. Times are given. */
import { describe, expect, it } from 'vitest'
import { Silence } from '../../../infra/kafka/adapter/silence.ts'

describe('silence', () => {
  it('counts from the receipt of the first empty answer to the request of the last', () => {
    const silence = new Silence()
    silence.confirmed(0, 100)
    silence.confirmed(1050, 1150)
    expect(silence.lasts(1000, 1150)).toBe(false)
    silence.confirmed(1100, 1200)
    expect(silence.lasts(1000, 1200)).toBe(true)
  })

  it('does not count an answer to a request from before the process was stopped', () => {
    const silence = new Silence()
    silence.confirmed(0, 10)
    silence.confirmed(50, 60_000)
    expect(silence.lasts(1000, 60_000)).toBe(false)
    silence.confirmed(60_000, 60_010)
    expect(silence.lasts(1000, 60_010)).toBe(true)
  })

  it('says nothing of now when the last answer is old', () => {
    const silence = new Silence()
    silence.confirmed(0, 10)
    silence.confirmed(5000, 5010)
    expect(silence.lasts(1000, 6000)).toBe(true)
    expect(silence.lasts(1000, 6001)).toBe(false)
    expect(silence.lasts(100, 5501)).toBe(false)
    expect(silence.lasts(4000, 7001)).toBe(false)
  })

  it('begins anew when it was broken', () => {
    const silence = new Silence()
    silence.confirmed(0, 10)
    silence.confirmed(2000, 2010)
    silence.broken()
    expect(silence.lasts(0, 2010)).toBe(false)
    silence.confirmed(2020, 2030)
    silence.confirmed(2040, 2050)
    expect(silence.lasts(1000, 2050)).toBe(false)
  })
})
