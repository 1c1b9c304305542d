/**
 * The two steps that learning a sample takes, on packed symmetric matrices (packed-symmetric.ts) in a WebAssembly memory: A·x and
 * A += x·yᵀ, with two float64 an instruction, in a third of the time that plain loops take, or less.
 *
 * Two rows of the triangle are under way at once. They begin at an even row, so that the numbers left of the diagonal are whole pairs, and they share
 * every load of a vector; the last row of an odd matrix goes alone. Sums are added in one order: the same numbers give the same bits.
 */
import {
  add,
  add2,
  addF64,
  assemble,
  type Code,
  constant,
  get,
  high2,
  instantiate,
  lane,
  lessThan,
  load1,
  load2,
  loadTwice,
  low2,
  mul2,
  set,
  shiftLeft,
  store2,
  storeF64,
  type WasmMemory,
  when,
  whileLoop,
  zero2,
} from './wasm-assembly.ts'

/** All parameters are addresses of float64 in the memory, but for `d` numbers; matrices and vectors are apart from one another, but x may be y. */
export interface PackedKernel {
  /** `out` = A·x. */
  multiply(matrix: number, x: number, out: number, d: number): void
  /** A += x·yᵀ, of which the lower triangle is kept: x is a multiple of y. */
  addProduct(matrix: number, x: number, y: number, d: number): void
}

// Parameters.
const MATRIX = 0
const X = 1
const OTHER = 2 // out, or y
const D = 3
// i32 locals, in bytes: 8·d, 8 times the even row, the addresses of both rows, and 8 times the column.
const END = 4
const I = 5
const EVEN = 6
const ODD = 7
const K = 8
const INTEGERS = 5
// Pairs of float64: x of both rows, twice each; the sums of both rows; numbers of both rows; numbers of a vector.
const X_EVEN = 9
const X_ODD = 10
const SUM_EVEN = 11
const SUM_ODD = 12
const A_EVEN = 13
const A_ODD = 14
const VECTOR = 15
const PAIRS = 7

const at = (base: number, offset: number): Code => [...get(base), ...get(offset), ...add]
const advance = (local: number, by: Code): Code => [...get(local), ...by, ...add, ...set(local)]

/** local += the product of what two codes leave. */
const accumulate = (local: number, a: Code, b: Code): Code => [
  ...[...get(local), ...a, ...b, ...mul2, ...add2, ...set(local)],
]

/** Both rows' code while two are left, then the single row's where d is odd: there K = I = its diagonal. */
const overRows = (start: Code, both: Code, bothEnd: Code, single: Code, singleEnd: Code): Code => {
  const columns = (body: Code): Code => [
    ...[...constant(0), ...set(K)],
    ...whileLoop([...get(K), ...get(I), ...lessThan], [...body, ...advance(K, constant(16))]),
  ]
  return [
    ...[...get(D), ...constant(3), ...shiftLeft, ...set(END)],
    ...[...constant(0), ...set(I), ...get(MATRIX), ...set(EVEN)],
    ...whileLoop(
      [...get(I), ...constant(8), ...add, ...get(END), ...lessThan],
      [
        ...[...at(EVEN, I), ...constant(8), ...add, ...set(ODD)],
        ...[...start, ...at(X, I), ...constant(8), ...add, ...loadTwice, ...set(X_ODD)],
        ...[...columns(both), ...bothEnd],
        ...[...at(ODD, I), ...constant(16), ...add, ...set(EVEN)],
        ...advance(I, constant(16)),
      ],
    ),
    ...when([...get(I), ...get(END), ...lessThan], [...start, ...columns(single), ...singleEnd]),
  ]
}

const clear = (local: number): Code => [...zero2, ...set(local)]
const loadXEven: Code = [...at(X, I), ...loadTwice, ...set(X_EVEN)]

/** Left of the diagonal a number counts twice: in its row's sum, times x of its column; in its column's, times x of its row. */
const multiply: Code = overRows(
  [...clear(SUM_EVEN), ...clear(SUM_ODD), ...loadXEven],
  [
    ...[...at(X, K), ...load2, ...set(VECTOR)],
    ...[...at(EVEN, K), ...load2, ...set(A_EVEN), ...at(ODD, K), ...load2, ...set(A_ODD)],
    ...accumulate(SUM_EVEN, get(A_EVEN), get(VECTOR)),
    ...accumulate(SUM_ODD, get(A_ODD), get(VECTOR)),
    ...[...at(OTHER, K), ...at(OTHER, K), ...load2],
    ...[...get(A_EVEN), ...get(X_EVEN), ...mul2, ...get(A_ODD), ...get(X_ODD), ...mul2, ...add2],
    ...[...add2, ...store2],
  ],
  [
    // The square on the diagonal is a, b under it, and c: (sum + a·x + b·x', sum' + b·x + c·x').
    ...[...at(EVEN, K), ...load1, ...set(A_EVEN), ...at(ODD, K), ...load2, ...set(A_ODD)],
    ...at(OTHER, K),
    ...[...get(SUM_EVEN), ...get(SUM_ODD), ...low2, ...get(SUM_EVEN), ...get(SUM_ODD), ...high2, ...add2],
    ...[...get(A_EVEN), ...get(A_ODD), ...low2, ...get(X_EVEN), ...mul2, ...add2],
    ...[...get(A_ODD), ...get(X_ODD), ...mul2, ...add2, ...store2],
  ],
  [
    ...[...at(EVEN, K), ...load2, ...set(A_EVEN)],
    ...accumulate(SUM_EVEN, get(A_EVEN), [...at(X, K), ...load2]),
    ...[...at(OTHER, K), ...at(OTHER, K), ...load2, ...get(A_EVEN), ...get(X_EVEN), ...mul2],
    ...[...add2, ...store2],
  ],
  [
    ...accumulate(SUM_EVEN, [...at(EVEN, K), ...load1], [...at(X, K), ...load1]),
    ...[...at(OTHER, K), ...get(SUM_EVEN), ...lane(0), ...get(SUM_EVEN), ...lane(1), ...addF64, ...storeF64],
  ],
)

/** row[k] += factor·vector, as a pair. */
const addPair = (row: number, factor: number, vector: Code): Code => [
  ...[...at(row, K), ...at(row, K), ...load2, ...get(factor), ...vector, ...mul2, ...add2, ...store2],
]
const vectorPair: Code = [...at(OTHER, K), ...load2]
/** row[i] += x·y on the diagonal of an even row. */
const addDiagonal: Code = [
  ...[...at(EVEN, K), ...at(EVEN, K), ...load1, ...get(X_EVEN), ...at(OTHER, K), ...load1],
  ...[...mul2, ...add2, ...lane(0), ...storeF64],
]

const addProduct: Code = overRows(
  loadXEven,
  [
    ...[...vectorPair, ...set(VECTOR)],
    ...[...addPair(EVEN, X_EVEN, get(VECTOR)), ...addPair(ODD, X_ODD, get(VECTOR))],
  ],
  [...addDiagonal, ...addPair(ODD, X_ODD, vectorPair)],
  addPair(EVEN, X_EVEN, vectorPair),
  addDiagonal,
)

const MODULE = assemble([
  { name: 'multiply', parameters: 4, integers: INTEGERS, pairs: PAIRS, body: multiply },
  { name: 'addProduct', parameters: 4, integers: INTEGERS, pairs: PAIRS, body: addProduct },
])

/** The kernel over a memory. */
export const packedKernel = (memory: WasmMemory): PackedKernel => instantiate(MODULE, memory) as PackedKernel
