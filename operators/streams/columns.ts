/** Columns of numbers that grow: what many small records are held in, instead of an object each. */
export type Column = Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array

/** `to`, begun with `from`. */
export const widened = <T extends Column>(from: T, to: T): T => {
  to.set(from)
  return to
}
