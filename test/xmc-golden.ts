/** The reference vectors of extreme classification (`xmc/<case>`): arrays, documents, and the reference's own model. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LONGEST_HEADER, readNpyHeader } from '../infra/models/npy.ts'
import type { XmcModel } from '../operators/xmc/model.ts'
import type { CsrMatrix } from '../operators/xmc/sparse/csr-matrix.ts'
import { goldenPath } from './golden.ts'

/** The folder of a case, or undefined, said loudly, where the vectors are not at hand: they are too large to be kept with the code. */
export const xmcGolden = (name: string): string | undefined => {
  let folder: string | undefined
  try {
    folder = join(goldenPath('xmc'), name)
  } catch {
    folder = undefined
  }
  if (folder !== undefined && existsSync(join(folder, 'W0.data.npy'))) return folder
  console.warn(`SKIPPED: the reference vectors xmc/${name} are not here`)
  return undefined
}

export const readJson = (folder: string, file: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder, file), 'utf8')) as Record<string, unknown>

/** A `.npy` of int32, float32 or float64. */
export const readArray = (path: string): Int32Array | Float32Array | Float64Array => {
  const bytes = readFileSync(path)
  const { dtype, start } = readNpyHeader(
    bytes.subarray(0, LONGEST_HEADER),
    bytes.length,
    (why) => new Error(`${path}: ${why}`),
  )
  const { buffer } = Uint8Array.from(bytes.subarray(start))
  if (dtype === '<i4') return new Int32Array(buffer)
  if (dtype === '<f4') return new Float32Array(buffer)
  if (dtype === '<f8') return new Float64Array(buffer)
  throw new Error(`${path}: ${dtype}`)
}

/** Documents in the Extreme Classification Repository's text format: X of unit length, Y of ones. */
export const readDocuments = (path: string): { readonly X: CsrMatrix; readonly Y: CsrMatrix } => {
  const [header = '', ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n')
  const [rows = 0, features = 0, labels = 0] = header.split(' ').map(Number)
  const documents = lines.map((line) => {
    const [names = '', ...pairs] = line.split(' ')
    const parsed = pairs.map((pair) => pair.split(':').map(Number) as [number, number])
    const length = Math.sqrt(parsed.reduce((sum, [, value]) => sum + value * value, 0))
    const x = parsed.map(([feature, value]): [number, number] => [feature, value / length])
    const y = names === '' ? [] : names.split(',').map((label): [number, number] => [Number(label), 1])
    return { x, y: y.sort(([a], [b]) => a - b) }
  })
  if (documents.length !== rows) throw new Error(`${path}: ${documents.length} lines, not ${rows}`)
  return {
    X: csr(
      features,
      documents.map(({ x }) => x),
    ),
    Y: csr(
      labels,
      documents.map(({ y }) => y),
    ),
  }
}

const csr = (columns: number, rows: readonly (readonly [number, number])[][]): CsrMatrix => {
  const pointers = new Int32Array(rows.length + 1)
  rows.forEach((row, r) => {
    pointers[r + 1] = pointers[r]! + row.length
  })
  const all = rows.flat()
  return {
    rows: rows.length,
    columns,
    pointers,
    indices: Int32Array.from(all, ([column]) => column),
    values: Float32Array.from(all, ([, value]) => value),
  }
}

/** The reference's trained model. Its matrices are columns of features, one a node: our rows. */
export const readModel = (folder: string): XmcModel => {
  const { chainParents } = JSON.parse(readFileSync(join(folder, 'clustering.json'), 'utf8')) as {
    chainParents: number[][]
  }
  const { summary } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
    summary: { train: [number, number]; labels: number; bias: number[] }
  }
  const [, features] = summary.train
  return {
    features,
    bias: summary.bias[0]!,
    labels: summary.labels,
    copies: new Int32Array(0),
    search: { beam: 10, transform: 'l3-hinge', merge: 'mean' },
    tree: { parents: chainParents.map((parents) => Int32Array.from(parents)) },
    weights: chainParents.map((parents, t) => ({
      rows: parents.length,
      columns: features + 1,
      pointers: readArray(join(folder, `W${t}.indptr.npy`)) as Int32Array,
      indices: readArray(join(folder, `W${t}.indices.npy`)) as Int32Array,
      values: readArray(join(folder, `W${t}.data.npy`)) as Float32Array,
    })),
  }
}
