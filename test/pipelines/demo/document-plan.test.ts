import { expect, it } from 'vitest'
import { endlessPlan, planOf, streamed } from '../../../pipelines/demo/document-plan.ts'

it('has a model due at a fifth of the documents, and after each two fifths, the slice of the model before among them', () => {
  const plan = planOf(20_000)
  expect(plan).toEqual({ slice: 1_000, first: 4_000, every: 8_000, trainings: 3 })
  expect([0, 1, 2, 3].map((made) => streamed(plan, made))).toEqual([4_000, 11_000, 18_000, 18_000])
})

it('is neither too small to learn from nor more than there is', () => {
  expect(planOf(10)).toEqual(planOf(1_000))
  expect(planOf(1_000_000)).toEqual(planOf(60_000))
  // What every training comes from beyond the slices of models before it.
  for (const { slice, every } of [planOf(1_000), endlessPlan(1), endlessPlan(1_000)])
    expect(every).toBeGreaterThan(slice)
  expect(streamed(endlessPlan(100), 5)).toBe(1_000 + 5 * 2_000)
})
