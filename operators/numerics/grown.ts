/** Arrays that have become too short: longer ones that begin with the same numbers, zeros behind them. */

export const grown = (array: Float64Array, length: number): Float64Array<ArrayBuffer> => {
  const longer = new Float64Array(length)
  longer.set(array)
  return longer
}

export const grownIntegers = (array: Int32Array, length: number): Int32Array<ArrayBuffer> => {
  const longer = new Int32Array(length)
  longer.set(array)
  return longer
}
