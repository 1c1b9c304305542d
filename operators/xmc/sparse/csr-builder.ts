/**
 * A sparse matrix written value by value, row by row, where its size is not known beforehand. Arrays double when they are full, so a value costs the same
 * however many there are.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { grownIntegers } from '../../numerics/grown.ts'
import type { CsrMatrix } from './csr-matrix.ts'

export class CsrBuilder {
  #pointers: Int32Array<ArrayBuffer> = new Int32Array(16)
  #indices: Int32Array<ArrayBuffer> = new Int32Array(64)
  #values: Float32Array<ArrayBuffer> = new Float32Array(64)
  #rows = 0
  #count = 0
  #widest = 0

  /** Rows ended so far. */
  get rows(): number {
    return this.#rows
  }

  /** Values stored so far. */
  get count(): number {
    return this.#count
  }

  /**
   * The next value of the row at hand.
   *
   * @param column above those the row holds already
   * @param value rounded to float32
   * @throws MillraceError INVALID_EVENT (a column that does not rise, or is no index), NON_FINITE_NUMBER
   */
  add(column: number, value: number): void {
    const count = this.#count
    const before = count > this.#pointers[this.#rows]! ? this.#indices[count - 1]! : -1
    if (!(column > before && column < 2 ** 31 - 1 && Number.isInteger(column))) {
      throw new MillraceError('INVALID_EVENT', `row ${this.#rows}: column ${column} follows ${before}`)
    }
    const rounded = Math.fround(value)
    if (!Number.isFinite(rounded)) {
      throw new MillraceError('NON_FINITE_NUMBER', `row ${this.#rows}, column ${column}: ${value}`)
    }
    if (count === this.#indices.length) {
      this.#indices = grownIntegers(this.#indices, 2 * count)
      const values = new Float32Array(2 * count)
      values.set(this.#values)
      this.#values = values
    }
    this.#indices[count] = column
    this.#values[count] = rounded
    this.#count = count + 1
    if (column >= this.#widest) this.#widest = column + 1
  }

  /** Ends the row at hand, which may be empty. */
  endRow(): void {
    if (this.#rows + 1 === this.#pointers.length) {
      this.#pointers = grownIntegers(this.#pointers, 2 * this.#pointers.length)
    }
    this.#pointers[++this.#rows] = this.#count
  }

  /**
   * The rows that were ended, as a matrix of its own memory.
   *
   * @param columns more than the largest column written
   * @throws MillraceError WRONG_DIMENSION
   */
  build(columns: number): CsrMatrix {
    if (!(Number.isInteger(columns) && columns >= this.#widest)) {
      throw new MillraceError('WRONG_DIMENSION', `column ${this.#widest - 1} of ${columns}`)
    }
    const count = this.#pointers[this.#rows]!
    return {
      rows: this.#rows,
      columns,
      pointers: this.#pointers.slice(0, this.#rows + 1),
      indices: this.#indices.slice(0, count),
      values: this.#values.slice(0, count),
    }
  }
}
