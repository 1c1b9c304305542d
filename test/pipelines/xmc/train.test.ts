/** Training in real threads. */
import { describe, expect, it } from 'vitest'
import { Xoshiro128 } from '../../../operators/numerics/random.ts'
import {
  CsrBuilder,
  clusterLabels,
  pifaEmbedding,
  sharedCopy,
  trainXmc,
} from '../../../operators/xmc/index.ts'
import { trainWithThreads } from '../../../pipelines/xmc/train.ts'

const ROWS = 400
const FEATURES = 120
const LABELS = 40

/** Documents whose features follow their labels. */
const drawn = () => {
  const random = new Xoshiro128()
  random.seed(1, 2, 3, 4)
  const [X, Y] = [new CsrBuilder(), new CsrBuilder()]
  for (let row = 0; row < ROWS; row++) {
    const label = Math.floor(random.uniform() * LABELS)
    const other = Math.floor(random.uniform() * LABELS)
    const features = new Set([
      3 * label,
      3 * label + 1,
      3 * other + 2,
      Math.floor(random.uniform() * FEATURES),
    ])
    for (const feature of [...features].sort((a, b) => a - b)) X.add(feature, 0.2 + random.uniform())
    for (const own of [...new Set([label, other])].sort((a, b) => a - b)) Y.add(own, 1)
    X.endRow()
    Y.endRow()
  }
  return { X: X.build(FEATURES), Y: Y.build(LABELS) }
}

const { X, Y } = drawn()
const tree = clusterLabels(pifaEmbedding(X, Y), { branching: 4, maxLeafSize: 5 })

describe('threads', () => {
  it.each([
    ['tfn', [1, 2, 3]],
    ['man', [2]],
  ] as const)('bring the bytes that none brings, whatever their number: %s', async (negatives, numbers) => {
    const options = { negatives, beam: 2 }
    const expected = await trainXmc(X, Y, tree, options)
    for (const threads of numbers) {
      expect(await trainWithThreads(X, Y, tree, options, threads)).toEqual(expected)
    }
  })

  it('documents in shared memory are taken as they are', async () => {
    const loss = { loss: 'logistic' } as const
    const expected = await trainXmc(X, Y, tree, loss)
    expect((await trainWithThreads(sharedCopy(X), Y, tree, loss, 2)).weights).toEqual(expected.weights)
  })

  it('tell how far they are', async () => {
    const told: number[][] = []
    await trainWithThreads(X, Y, tree, { onProgress: (done, total) => void told.push([done, total]) }, 2)
    const total = tree.parents.reduce((sum, { length }) => sum + length, 0)
    expect(told.at(-1)).toEqual([total, total])
  })

  it('end at a signal, with its reason', async () => {
    const end = new AbortController()
    const reason = new Error('enough')
    const training = trainWithThreads(X, Y, tree, { onProgress: () => end.abort(reason) }, 2, end.signal)
    await expect(training).rejects.toBe(reason)
    await expect(trainWithThreads(X, Y, tree, {}, 2, end.signal)).rejects.toBe(reason)
  })

  it('bring a refusal with its code', async () => {
    const huge = { ...X, values: X.values.map(() => 1e-40) }
    const C = { positive: 1e200, negative: 1e200 }
    const training = trainWithThreads(huge, Y, tree, { C, threshold: 0, bias: 0, maxIterations: 3 }, 2)
    await expect(training).rejects.toMatchObject({ code: 'NON_FINITE_NUMBER' })
  })

  it.each([0, 1.5, Number.NaN])('%s are none', async (threads) => {
    await expect(trainWithThreads(X, Y, tree, {}, threads)).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
  })
})
