/** Tagging models as folders: the same model again, to the last bit, alone or in the store; and no folder that lies about itself becomes a model. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openModelStore } from '../../../infra/models/store.ts'
import { writeModelFolder } from '../../../infra/models/write-folder.ts'
import { fitTfIdf } from '../../../operators/xmc/features/tf-idf.ts'
import { BeamSearch } from '../../../operators/xmc/inference/beam-search.ts'
import type { XmcModel } from '../../../operators/xmc/model.ts'
import { csrMatrix } from '../../../operators/xmc/sparse/csr-matrix.ts'
import type { TagModel } from '../../../operators/xmc/tag-model.ts'
import {
  folderOf,
  loadTagModel,
  loadXmc,
  saveTagModel,
  saveXmc,
} from '../../../pipelines/xmc/model-folder.ts'

const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

const tfIdf = fitTfIdf(['a cat sat', 'the dog sat', 'a dög ran'], { minDocuments: 1 })

/** Three labels and a copy of the second, in two clusters. */
const xmc: XmcModel = {
  features: tfIdf.features,
  bias: 0.5,
  tree: { parents: [Int32Array.of(0, 0), Int32Array.of(0, 0, 1, 1)] },
  weights: [
    csrMatrix(2, tfIdf.features + 1, [0, 2, 3], [0, tfIdf.features, 1], [1.5, -0.25, 1e-40]),
    csrMatrix(4, tfIdf.features + 1, [0, 1, 1, 2, 4], [2, 0, 1, tfIdf.features], [0.1, -3, 0.7, 1e30]),
  ],
  labels: 3,
  copies: Int32Array.of(1),
  search: { beam: 2, transform: 'log-sigmoid', merge: 'max' },
}
const model: TagModel = { xmc, labels: ['animal', 'ü "x"\n', ''], tfIdf }

/** A model without what holds functions. */
const plainOf = ({ xmc, labels, tfIdf }: TagModel) => ({ xmc, labels, tfIdf: tfIdf?.toJSON() ?? null })

describe('a tagging model on disk', () => {
  let folder = ''
  let path = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-xmc-'))
    path = join(folder, 'model')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is the same again, vectoriser and labels too', async () => {
    await saveTagModel(path, model, { origin: { by: 'a test' } })
    const again = await loadTagModel(path)
    expect(plainOf(again)).toEqual(plainOf(model))
    expect(again.tfIdf!.transform('the cat sat')).toEqual(tfIdf.transform('the cat sat'))
    const manifest = JSON.parse(readFileSync(join(path, 'model.json'), 'utf8'))
    expect(manifest).toMatchObject({
      format: 'millrace-xmc',
      version: 1,
      parameters: { origin: { by: 'a test' } },
    })
    expect(readdirSync(path).sort()).toEqual(['model.json', ...Object.keys(manifest.files)].sort())
  })

  it('is the same again, whatever its numbers', async () => {
    const level = (rows: number) =>
      fc.array(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 4, maxLength: 4 }), {
        minLength: rows,
        maxLength: rows,
      })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }).chain((labels) => fc.tuple(level(2), level(labels))),
        async (levels) => {
          const weights = levels.map((rows) =>
            csrMatrix(
              rows.length,
              4,
              Int32Array.from({ length: rows.length + 1 }, (_, row) => 4 * row),
              Int32Array.from({ length: 4 * rows.length }, (_, k) => k % 4),
              Float32Array.from(rows.flat()),
            ),
          )
          const labels = levels[1].length
          const parents = [Int32Array.of(0, 0), Int32Array.from({ length: labels }, (_, label) => label % 2)]
          const drawn: TagModel = {
            xmc: { ...xmc, features: 3, weights, tree: { parents }, labels, copies: new Int32Array(0) },
            labels: Array.from({ length: labels }, (_, label) => `${label}`),
            tfIdf: null,
          }
          await saveTagModel(path, drawn, { replace: true })
          const again = await loadTagModel(path)
          expect(plainOf(again)).toEqual(plainOf(drawn))
          again.xmc.weights.forEach(({ values }, t) => {
            expect(Buffer.from(values.buffer).equals(Buffer.from(weights[t]!.values.buffer))).toBe(true)
          })
          const query = csrMatrix(1, 3, [0, 2], [0, 2], [0.5, -1])
          expect(new BeamSearch(again.xmc).predictBatch(query, 3)).toEqual(
            new BeamSearch(drawn.xmc).predictBatch(query, 3),
          )
        },
      ),
      { numRuns: 15 },
    )
  })

  it('lies in the store under its hash, which equal models share', async () => {
    const store = await openModelStore(folder)
    const { sha256, bytes } = await saveXmc(store, model)
    expect(bytes).toBeGreaterThan(100)
    expect(await saveXmc(store, model)).toMatchObject({ sha256 })
    expect(plainOf(await loadXmc(store, sha256))).toEqual(plainOf(model))
    expect((await saveTagModel(path, model)).sha256).toBe(sha256)
    await expect(loadXmc(store, '0'.repeat(64))).rejects.toEqual(
      refusal('SNAPSHOT_CORRUPT', /holds no model 0{64}/),
    )
  })

  it('is refused where there is none, with a code', async () => {
    await expect(loadTagModel(path)).rejects.toEqual(refusal('INVALID_CONFIG', /there is no model/))
    await expect(loadTagModel(folder)).rejects.toEqual(refusal('SNAPSHOT_CORRUPT', /there is no model\.json/))
    await saveTagModel(path, model)
    writeFileSync(join(path, 'labels.json'), '["animal"]')
    await expect(loadTagModel(path)).rejects.toEqual(refusal('SNAPSHOT_CORRUPT', /labels\.json has 10 bytes/))
  })

  // Folders whose hashes hold, and which yet make no sense.
  const parameters = (change: Record<string, unknown>) => ({
    parameters: { ...(folderOf(model).parameters as object), ...change },
  })
  const files = (change: Record<string, Uint8Array | Int32Array | Float32Array>) => ({
    files: { ...folderOf(model).files, ...change },
  })
  it.each([
    ['another version', { version: 2 }, 'SNAPSHOT_MISMATCH', /version 2 of millrace-xmc; 1 is read/],
    ['another format', { format: 'onnx' }, 'SNAPSHOT_MISMATCH', /format "onnx"/],
    ['no parameters', { parameters: null }, 'SNAPSHOT_CORRUPT', /parameters\.features/],
    [
      'a beam of nothing',
      parameters({ search: { ...xmc.search, beam: 0 } }),
      'SNAPSHOT_CORRUPT',
      /search\.beam/,
    ],
    [
      'an unknown transform',
      parameters({ search: { ...xmc.search, transform: 'toString' } }),
      'SNAPSHOT_CORRUPT',
      /search\.transform/,
    ],
    [
      'an unknown merge',
      parameters({ search: { ...xmc.search, merge: 'min' } }),
      'SNAPSHOT_CORRUPT',
      /search\.merge/,
    ],
    ['more levels than it has', parameters({ levels: 3 }), 'SNAPSHOT_CORRUPT', /names no parents-2\.npy/],
    ['other features', parameters({ features: 2 }), 'SNAPSHOT_CORRUPT', /vectoriser has \d+ features/],
    ['other labels', parameters({ labels: 4 }), 'SNAPSHOT_CORRUPT', /4 labels and 1 copies, of 4 columns/],
    [
      'a node without a parent',
      files({ 'parents-1.npy': Int32Array.of(0, 0, 2, 1) }),
      'SNAPSHOT_CORRUPT',
      /parent 2 of 2/,
    ],
    [
      'a copy of no label',
      files({ 'copies.npy': Int32Array.of(3) }),
      'SNAPSHOT_CORRUPT',
      /3 labels and 1 copies/,
    ],
    [
      'a weight of no feature',
      files({ 'weights-0.indices.npy': Int32Array.of(0, 99, 1) }),
      'SNAPSHOT_CORRUPT',
      /column 99/,
    ],
    [
      'a weight that is no number',
      files({ 'weights-0.values.npy': Float32Array.of(0, Number.NaN, 1) }),
      'SNAPSHOT_CORRUPT',
      /NaN/,
    ],
    [
      'labels that are not different',
      files({ 'labels.json': Buffer.from('["a","b","a"]') }),
      'SNAPSHOT_CORRUPT',
      /3 different names/,
    ],
    [
      'labels that are no list',
      files({ 'labels.json': Buffer.from('{') }),
      'SNAPSHOT_CORRUPT',
      /labels\.json is not JSON/,
    ],
    [
      'a vectoriser that is none',
      files({ 'tf-idf.json': Buffer.from('{"format":9}') }),
      'SNAPSHOT_CORRUPT',
      /model folder/,
    ],
  ] as const)('of %s is refused', async (_, change, code, message) => {
    await writeModelFolder(path, { ...folderOf(model), ...change }, { replace: false })
    await expect(loadTagModel(path)).rejects.toEqual(refusal(code, message))
  })
})
