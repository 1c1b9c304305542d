import { expect, test } from 'vitest'
import { Watermark } from '../../../operators/streams/watermark.ts'

const options = { maxFutureSkewMs: 100, idleMs: 1_000 }

test('it is the least of the inputs, so that reading one ahead closes nothing', () => {
  const watermark = new Watermark(2, options)
  watermark.observe(0, 500, 1_000)
  expect(watermark.advance(1_000)).toBe(Number.NEGATIVE_INFINITY)
  watermark.observe(1, 200, 1_000)
  watermark.observe(0, 550, 1_000)
  expect(watermark.advance(1_000)).toBe(200)
  watermark.observe(1, 700, 1_000)
  expect(watermark.advance(1_000)).toBe(550)
})

test('a timestamp from the far future moves it no further than the allowed skew', () => {
  const watermark = new Watermark(1, options)
  watermark.observe(0, 4_070_908_800_000, 50)
  expect(watermark.advance(50)).toBe(150)
})

test('an input that has had nothing for long holds it back until it is known to be silent', () => {
  const watermark = new Watermark(2, options)
  watermark.observe(0, 900, 1_500)
  expect(watermark.advance(1_000_000)).toBe(Number.NEGATIVE_INFINITY)
  expect(watermark.advance(1_000_000, new Set([1]))).toBe(900)
})

test('the clock takes over when all inputs are silent', () => {
  const watermark = new Watermark(2, options)
  watermark.observe(0, 900, 1_500)
  expect(watermark.advance(5_000, new Set([0, 1]))).toBe(4_000)
})

test('it never goes back', () => {
  const watermark = new Watermark(1, options)
  watermark.restore(800, [800])
  watermark.observe(0, 300, 900)
  expect(watermark.advance(900)).toBe(800)
})
