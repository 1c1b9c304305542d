/** A search makes no objects: what it leaves behind is a few numbers a parent that it opens, nothing a child. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { BeamSearch } from '../../../../operators/xmc/inference/beam-search.ts'
import { predictions } from '../../../../operators/xmc/inference/predictions.ts'
import { csr } from './models.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

it('a query leaves under 64 bytes behind for a parent that it opens, whatever its children', () => {
  const [features, inner, labels] = [50, 32, 2_000]
  const row = (node: number) =>
    new Map([0, 1, 2, 3].map((i) => [(7 * node + 11 * i) % features, Math.sin(node + i)]))
  const search = new BeamSearch({
    features,
    bias: 1,
    labels,
    copies: new Int32Array(0),
    search: { beam: 10, transform: 'l3-hinge', merge: 'mean' },
    tree: {
      parents: [new Int32Array(inner), Int32Array.from({ length: labels }, (_, node) => node % inner)],
    },
    weights: [inner, labels].map((nodes) =>
      csr(
        features + 1,
        Array.from({ length: nodes }, (_, node) => row(node)),
      ),
    ),
  })
  const output = predictions(20)
  const indices = Int32Array.from({ length: 10 }, (_, i) => 5 * i)
  const values = new Float32Array(10).fill(0.5)
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) {
      values[i % 10] = (i % 17) / 17
      search.predict(indices, values, 20, output)
    }
  }
  run(60_000)
  const tries = Array.from({ length: 12 }, () => {
    collect()
    const before = process.memoryUsage().heapUsed
    run(2_000)
    return Math.abs(process.memoryUsage().heapUsed - before) / 2_000
  })
  // The root and a beam of ten.
  expect(Math.min(...tries)).toBeLessThan(11 * 64)
})
