/**
 * The bytes of a state made of others' states: a snapshot (snapshot-format.ts) whose arrays are the whole's own numbers, the sizes of its parts, and the parts, each
 * a snapshot in its own right, filled up to a whole number of float64.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { decodeSnapshot, encodeSnapshot, type SnapshotHeader } from './snapshot-format.ts'

/** @param numbers the whole's own state */
export const encodeComposite = (
  header: SnapshotHeader,
  learned: number,
  numbers: readonly Float64Array[],
  parts: readonly Uint8Array[],
): Uint8Array => {
  const sizes = Float64Array.from(parts, ({ length }) => length)
  const padded = parts.map((part) => {
    const words = new Float64Array(Math.ceil(part.length / 8))
    new Uint8Array(words.buffer).set(part)
    return words
  })
  return encodeSnapshot(header, { learned, names: [] }, [...numbers, sizes, ...padded])
}

/**
 * Reads what `encodeComposite` wrote; the parts are for their policies to hold against their own headers.
 * @param lengths how many numbers each array of the whole's own state has
 * @param count how many parts there are
 * @throws MillraceError SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH
 */
export const decodeComposite = (
  bytes: Uint8Array,
  header: SnapshotHeader,
  lengths: readonly number[],
  count: number,
): { learned: number; numbers: Float64Array[]; parts: Uint8Array[] } => {
  // Asked for only once the kind has been found right, so that the header has the length of this one.
  let words = 0
  const rest = (): number => {
    words = (bytes.length - encodeSnapshot(header, { learned: 0, names: [] }, []).length) / 8
    return words
  }
  const { learned, fill } = decodeSnapshot(bytes, header, rest)
  const all = new Float64Array(Math.max(Math.floor(words), 0))
  fill([all])
  let at = 0
  const take = (length: number): Float64Array => {
    const from = at
    at += length
    if (at > all.length) throw new MillraceError('SNAPSHOT_CORRUPT', 'snapshot: it ends early')
    return all.subarray(from, at)
  }
  const numbers = lengths.map(take)
  const sizes = take(count)
  const parts = Array.from(sizes, (size) => {
    const part = take(Math.ceil(size / 8))
    return new Uint8Array(part.buffer, part.byteOffset, size)
  })
  if (at !== words)
    throw new MillraceError('SNAPSHOT_CORRUPT', 'snapshot: its length is not that of its parts')
  return { learned, numbers, parts }
}
