/** An XR-Linear folder that PECOS 1.2.8 wrote: imported, it answers as PECOS does; what is damaged, hostile or unknown is refused by name. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unzipSync, zipSync } from 'fflate'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { npyHeader } from '../../../infra/models/npy.ts'
import { BeamSearch } from '../../../operators/xmc/inference/beam-search.ts'
import { predictions } from '../../../operators/xmc/inference/predictions.ts'
import type { Transform } from '../../../operators/xmc/model.ts'
import { readColumns } from '../../../pipelines/xmc/npz.ts'
import { readPecos } from '../../../pipelines/xmc/pecos-folder.ts'
import { goldenPath } from '../../golden.ts'

interface Golden {
  readonly rows: readonly (readonly [readonly number[], readonly number[]])[]
  readonly top: number
  readonly predictions: readonly {
    readonly beam: number
    readonly transform: string
    readonly labels: readonly (readonly number[])[]
    readonly scores: readonly (readonly number[])[]
  }[]
}

const golden = goldenPath('xmc-pecos')
const index = JSON.parse(readFileSync(join(golden, 'index.json'), 'utf8')) as Golden
const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

/** What is predicted for the golden's documents. */
const predicted = (folder: string, beam: number, name: string) => {
  const model = readPecos(folder)
  const transform = (name === 'noop' ? 'identity' : name) as Transform
  const search = new BeamSearch(model, { beam, transform })
  const found = predictions(index.top)
  return index.rows.map(([indices, values]) => {
    search.predict(Int32Array.from(indices), Float32Array.from(values), index.top, found)
    return {
      labels: [...found.labels.subarray(0, found.count)],
      scores: [...found.scores.subarray(0, found.count)],
    }
  })
}

const expectGolden = (folder: string) => {
  for (const { beam, transform, labels, scores } of index.predictions) {
    const found = predicted(folder, beam, transform)
    expect(found.map((each) => each.labels)).toEqual(labels)
    for (const [row, each] of found.entries())
      each.scores.forEach((score, at) => {
        const wanted = scores[row]![at]!
        expect(Math.abs(score - wanted)).toBeLessThan(1e-5 * Math.abs(wanted) + 1e-7)
      })
  }
}

describe('a PECOS folder', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-pecos-'))
    cpSync(join(golden, 'model'), folder, { recursive: true })
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const at = (path: string) => join(folder, 'ranker', path)
  /** Packs a matrix anew: its files changed, or packed otherwise. */
  const repack = (
    path: string,
    change: (files: Record<string, Uint8Array>) => void = () => {},
    level: 0 | 9 = 0,
  ) => {
    const files = unzipSync(readFileSync(at(path)))
    change(files)
    writeFileSync(at(path), zipSync(files, { level }))
  }
  const edit = (path: string, change: Record<string, unknown>) =>
    writeFileSync(at(path), JSON.stringify({ ...JSON.parse(readFileSync(at(path), 'utf8')), ...change }))
  const row = (array: Int32Array | Float32Array | Float64Array) =>
    Buffer.concat([npyHeader(array), Buffer.from(array.buffer)])
  const wide = (numbers: readonly number[]) =>
    Buffer.concat([
      Buffer.from(
        npyHeader(new Float64Array(numbers.length)).toString('latin1').replace('<f8', '<i8'),
        'latin1',
      ),
      Buffer.from(BigInt64Array.from(numbers, BigInt).buffer),
    ])
  const int32 = (bytes: Uint8Array) => [...new Int32Array(bytes.slice(128).buffer)]

  it('gives the labels and the scores that PECOS gives, for every beam and post-processor', () => {
    expectGolden(folder)
    expectGolden(join(folder, 'ranker'))
  })

  it('becomes a model with its settings', () => {
    const model = readPecos(folder)
    expect(model).toMatchObject({ features: 18, bias: 1, labels: 11 })
    expect(model.search).toEqual({ beam: 2, transform: 'l3-hinge', merge: 'mean' })
    expect(model.tree.parents.map(({ length }) => length)).toEqual([2, 4, 11])
    expect(model.weights.map(({ rows, columns }) => [rows, columns])).toEqual([
      [2, 19],
      [4, 19],
      [11, 19],
    ])
    expect(readPecos(folder, { beam: 7, transform: 'sigmoid' }).search).toMatchObject({
      beam: 7,
      transform: 'sigmoid',
    })
  })

  it('is read alike deflated, with wide indices, doubles, shuffled columns, or by rows', () => {
    for (const path of ['0.model/W.npz', '1.model/W.npz', '2.model/W.npz', '2.model/C.npz'])
      repack(
        path,
        (files) => {
          const indices = int32(files['indices.npy']!)
          const values = new Float32Array(files['data.npy']!.slice(128).buffer)
          const pointers = int32(files['indptr.npy']!)
          const order = pointers
            .slice(1)
            .flatMap((end, column) => Array.from({ length: end - pointers[column]! }, (_, i) => end - 1 - i))
          files['indices.npy'] = wide(order.map((k) => indices[k]!))
          files['indptr.npy'] = wide(pointers)
          files['data.npy'] = row(Float64Array.from(order, (k) => values[k]!))
        },
        9,
      )
    repack('1.model/C.npz', (files) => {
      // 4 nodes below 2: one a row, so by rows it is a column a row.
      const columns = readColumns(at('1.model/C.npz'))
      const parents = Array.from({ length: 4 }, (_, node) =>
        columns.indices.indexOf(node) < columns.pointers[1]! ? 0 : 1,
      )
      files['format.npy']!.set(Buffer.from('csr'), files['format.npy']!.length - 3)
      files['indices.npy'] = row(Int32Array.from(parents))
      files['indptr.npy'] = row(Int32Array.of(0, 1, 2, 3, 4))
    })
    expectGolden(folder)
  })

  it('is read without a bias, as PECOS saves it for one of 0 or less', () => {
    for (const level of [0, 1, 2]) {
      edit(`${level}.model/param.json`, { bias: -1, nr_features: 19 })
      edit('param.json', { nr_features: 19 })
    }
    const model = readPecos(folder)
    expect(model).toMatchObject({ features: 19, bias: 0 })
    expect(model.weights[0]!.columns).toBe(20)
    new BeamSearch(model)
  })

  it.each([
    ['a matrix compiled for memory mapping', 'param.json', { is_mmap: true }, /compiled for memory mapping/],
    [
      'a level compiled for memory mapping',
      '1.model/param.json',
      { is_mmap: true },
      /1\.model: it is compiled/,
    ],
    ['another kind of model', 'param.json', { model: 'HNSW' }, /ranker\/param\.json: model: /],
    [
      'a post-processor that is not known',
      '0.model/param.json',
      { pred_kwargs: { only_topk: 2, post_processor: 'l4-hinge' } },
      /l4-hinge, l3-hinge: say a transform/,
    ],
    [
      'levels with several beams',
      '0.model/param.json',
      { pred_kwargs: { only_topk: 9, post_processor: 'l3-hinge' } },
      /keep 9, 2 nodes: say a beam/,
    ],
    ['levels that do not meet', '1.model/param.json', { nr_codes: 3 }, /3 nodes above, where there are 2/],
    ['levels with several biases', '1.model/param.json', { bias: 0.5 }, /bias or features differ/],
    ['sizes that are none', '1.model/param.json', { nr_labels: 1e300 }, /nr_labels: /],
    ['a tree without end', 'param.json', { depth: 1e6 }, /depth: /],
  ])('refuses %s', (_, path, change, message) => {
    edit(path, change)
    expect(() => readPecos(folder)).toThrow(refusal('SNAPSHOT_MISMATCH', message))
  })

  it('takes beam and transform from who asks, where the folder has none that will do', () => {
    edit('0.model/param.json', { pred_kwargs: { only_topk: 9, post_processor: 'l4-hinge' } })
    expect(readPecos(folder, { beam: 2, transform: 'l3-hinge' }).search).toMatchObject({ beam: 2 })
  })

  it.each([
    [
      'sizes other than param.json says',
      (files: Record<string, Uint8Array>) => (files['shape.npy'] = wide([20, 4])),
      /20 × 4 weights, not 19 × 4/,
    ],
    [
      'a form that is not read',
      (files: Record<string, Uint8Array>) =>
        files['format.npy']!.set(Buffer.from('coo'), files['format.npy']!.length - 3),
      /"coo" is not read/,
    ],
    [
      'an index out of range',
      (files: Record<string, Uint8Array>) => files['indices.npy']!.set([99], 128),
      /column 99 of 19/,
    ],
    [
      'an index twice',
      (files: Record<string, Uint8Array>) => files['indices.npy']!.copyWithin(132, 128, 132),
      /follows column/,
    ],
    [
      'pointers that fall',
      (files: Record<string, Uint8Array>) => files['indptr.npy']!.set([255, 255, 255, 127], 132),
      /pointers of row/,
    ],
    [
      'a weight that is no number',
      (files: Record<string, Uint8Array>) => files['data.npy']!.set([0, 0, 0xc0, 0x7f], 128),
      /NaN/,
    ],
    [
      'a header that promises more',
      (files: Record<string, Uint8Array>) =>
        (files['data.npy'] = Buffer.from(
          Buffer.from(files['data.npy']!)
            .toString('latin1')
            .replace(/\(\d+,\)/, '(9999999999,)'),
          'latin1',
        )),
      /data\.npy: .*bytes follow/,
    ],
    ['a missing part', (files: Record<string, Uint8Array>) => delete files['indptr.npy'], /no indptr\.npy/],
  ])('refuses weights with %s', (_, change, message) => {
    repack('1.model/W.npz', change)
    expect(() => readPecos(folder)).toThrow(refusal('SNAPSHOT_CORRUPT', message))
  })

  it('refuses codes that put a node below two others, or below none', () => {
    repack('1.model/C.npz', (files) => {
      files['indices.npy'] = row(Int32Array.of(0, 1, 0, 1))
    })
    expect(() => readPecos(folder)).toThrow(refusal('SNAPSHOT_MISMATCH', /node 0 lies below 0 and 1/))
    repack('1.model/C.npz', (files) => {
      files['indptr.npy'] = row(Int32Array.of(0, 1, 2))
      files['indices.npy'] = row(Int32Array.of(0, 1))
      files['data.npy'] = row(Float32Array.of(1, 1))
    })
    expect(() => readPecos(folder)).toThrow(refusal('SNAPSHOT_CORRUPT', /node 2 lies below none/))
  })

  it('tells every flipped bit of the numbers by their CRC-32, and never ends without a code', () => {
    const sound = readFileSync(at('2.model/W.npz'))
    let told = 0
    for (let byte = 0; byte < sound.length; byte += 3) {
      const bytes = Buffer.from(sound)
      bytes[byte]! ^= 0x10
      writeFileSync(at('2.model/W.npz'), bytes)
      try {
        // What a zip says beside its contents (times, versions) may be anything.
        expect(readPecos(folder).weights[2]!.values.length).toBeGreaterThan(0)
      } catch (error) {
        expect(error).toEqual(refusal('SNAPSHOT_CORRUPT', /W\.npz: /))
        told++
      }
    }
    expect(told).toBeGreaterThan((sound.length / 3) * 0.6)
    for (const end of [0, 10, 21, 22, 500, sound.length - 1]) {
      writeFileSync(at('2.model/W.npz'), sound.subarray(0, end))
      expect(() => readPecos(folder)).toThrow(refusal('SNAPSHOT_CORRUPT', /W\.npz: /))
    }
  })

  it('unpacks no bomb', () => {
    // The zip's directory claims four gigabytes of a part that has some bytes; and what cannot be packed so tightly.
    const claim = (size: number) => {
      repack('2.model/W.npz', () => {}, 9)
      const bytes = readFileSync(at('2.model/W.npz'))
      bytes.writeUInt32LE(size, bytes.lastIndexOf('PK\x01\x02', undefined, 'latin1') + 24)
      writeFileSync(at('2.model/W.npz'), bytes)
    }
    claim(0xf000_0000)
    expect(() => readPecos(folder)).toThrow(
      refusal('SNAPSHOT_CORRUPT', /unpacks to more than 2147483648 bytes/),
    )
    claim(0x7000_0000)
    expect(() => readPecos(folder)).toThrow(refusal('SNAPSHOT_CORRUPT', /cannot have 1879048192 bytes/))
  })

  it('names what is missing', () => {
    rmSync(at('1.model/C.npz'))
    expect(() => readPecos(folder)).toThrow(
      refusal('INVALID_CONFIG', /cannot read .*1\.model\/C\.npz: ENOENT/),
    )
    expect(existsSync(join(folder, 'nowhere'))).toBe(false)
    expect(() => readPecos(join(folder, 'nowhere'))).toThrow(
      refusal('INVALID_CONFIG', /nowhere\/param\.json: ENOENT/),
    )
    writeFileSync(at('param.json'), '{')
    expect(() => readPecos(folder)).toThrow(refusal('SNAPSHOT_CORRUPT', /param\.json: it is not JSON/))
  })
})
