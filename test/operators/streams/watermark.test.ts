import { expect, test } from 'vitest'
import { Watermark } from '../../../operators/streams/watermark.ts'

const options = { maxFutureSkewMs: 100, idleMs: 1_000 }

test('it is the least of the inputs, so that reading one ahead closes nothing', () => {
  const watermark = new Watermark(2, options, 0)
  watermark.observe(0, 500, 10)
  expect(watermark.advance(10)).toBe(Number.NEGATIVE_INFINITY)
  watermark.observe(1, 200, 500)
  watermark.observe(0, 550, 500)
  expect(watermark.advance(500)).toBe(200)
  watermark.observe(1, 700, 600)
  expect(watermark.advance(600)).toBe(550)
})

test('a timestamp from the far future moves it no further than the allowed skew', () => {
  const watermark = new Watermark(1, options, 0)
  watermark.observe(0, 4_070_908_800_000, 50)
  expect(watermark.advance(50)).toBe(150)
})

test('an idle input holds nobody back, and the clock takes over when all are idle', () => {
  const watermark = new Watermark(2, options, 0)
  watermark.observe(0, 900, 1_500)
  expect(watermark.advance(1_500)).toBe(900)
  expect(watermark.advance(5_000)).toBe(4_000)
})

test('it never goes back', () => {
  const watermark = new Watermark(1, options, 0)
  watermark.restore(800, [800])
  watermark.observe(0, 300, 900)
  expect(watermark.advance(900)).toBe(800)
})
