/**
 * xᵀV⁻¹x and θᵀx for many ridge regressions, in WebAssembly with two float64 an instruction. These are nearly all the work of a linear
 * bandit's decision; plain loops take twice as long, V8 adding two addresses at every access to a typed array.
 *
 * A table in the module's memory has a row of `packed + d` numbers a regression: V⁻¹ as its lower triangle (packed-symmetric.ts), then θ. Four
 * rows are under way at once, so that additions overlap; each has a sum of its own, added in one order whichever of the four it is, so
 * that its bits do not depend on its place. A last group that is not full is filled up with its last row, computed again.
 */
import {
  add,
  add2,
  addF64,
  and,
  assemble,
  type Code,
  constant,
  eachLane,
  get,
  instantiate,
  lane,
  lessThan,
  load1,
  load2,
  loadI32,
  loadTwice,
  mul,
  mul2,
  select,
  set,
  shiftLeft,
  store2,
  storeF64,
  sub,
  type WasmMemory,
  when,
  whileLoop,
  zero2,
} from './wasm-assembly.ts'

/** All parameters are addresses in the memory, but for `count` rows, `packed` and `d` numbers. `rows` are u32, everything else float64. */
export interface RidgeKernel {
  /** One vector for all rows: `vectors` holds it after its packed outer product (see packOuter), packed + d numbers. */
  predictOne: Predict
  /** A vector of d numbers each. */
  predictEach: Predict
  /** Writes the packed outer product of the d numbers at `x` to `out`: as packOuter does, bit for bit. */
  outer(x: number, out: number, d: number): void
  /** The estimates of `predictOne` alone, bit for bit; `variances` stays as it is. */
  estimateOne: Predict
}
type Predict = (
  table: number,
  rows: number,
  vectors: number,
  count: number,
  packed: number,
  d: number,
  variances: number,
  estimates: number,
) => void

// Parameters.
const TABLE = 0
const ROWS = 1
const VECTORS = 2
const COUNT = 3
const PACKED = 4
const D = 5
const VARIANCES = 6
const ESTIMATES = 7
// i32 locals: of the group and its lanes.
const N = 8
const K = 9
const END = 10
const I = 11
const index = (l: number): number => 12 + l
const row = (l: number): number => 16 + l
const x = (l: number): number => 20 + l
const INTEGERS = 16
// Pairs of float64.
const sum = (l: number): number => 24 + l
const form = (l: number): number => 28 + l
const estimate = (l: number): number => 32 + l
const WEIGHT = 36
const PAIRS = 13

const bytes = (numbers: Code): Code => [...numbers, ...constant(3), ...shiftLeft]
const clear = (local: (l: number) => number): Code => eachLane((l) => [...zero2, ...set(local(l))])
const advance = (local: number, by: Code): Code => [...get(local), ...by, ...add, ...set(local)]

/** index(l) = min(n + l, count − 1); row(l) = table + rows[index(l)]·8·(packed + d). */
const locate: Code = eachLane((l) => [
  ...[...get(N), ...constant(l), ...add, ...get(COUNT), ...constant(1), ...sub],
  ...[...get(N), ...constant(l), ...add, ...get(COUNT), ...lessThan, ...select, ...set(index(l))],
  ...[...get(ROWS), ...get(index(l)), ...constant(2), ...shiftLeft, ...add, ...loadI32],
  ...[...bytes([...get(PACKED), ...get(D), ...add]), ...mul, ...get(TABLE), ...add, ...set(row(l))],
])

/** out[index(l)] = the two halves of a sum, together. */
const store = (out: number, local: (l: number) => number): Code =>
  eachLane((l) => [
    ...[...get(out), ...bytes(get(index(l))), ...add],
    ...[...get(local(l)), ...lane(0), ...get(local(l)), ...lane(1), ...addF64, ...storeF64],
  ])

const groups = (body: Code): Code => [
  ...[...constant(0), ...set(N)],
  ...whileLoop([...get(N), ...get(COUNT), ...lessThan], [...locate, ...body, ...advance(N, constant(4))]),
]

/** Runs `step` over the pairs of `length` numbers, K counting bytes, and once more for an odd one. */
const overPairs = (length: Code, step: (load: Code) => Code): Code => [
  ...[...constant(0), ...set(K), ...bytes(length), ...constant(-16), ...and, ...set(END)],
  ...whileLoop([...get(K), ...get(END), ...lessThan], [...step(load2), ...advance(K, constant(16))]),
  ...when([...get(K), ...bytes(length), ...lessThan], step(load1)),
]

/** local(l) += row(l)[k]·x(l)[k], for all lanes. */
const dotVectors =
  (local: (l: number) => number) =>
  (load: Code): Code =>
    eachLane((l) => [
      ...[...get(local(l)), ...get(row(l)), ...get(K), ...add, ...load],
      ...[...get(x(l)), ...get(K), ...add, ...load],
      ...[...mul2, ...add2, ...set(local(l))],
    ])

/** local(l) += row(l)[k]·weights[k], for all lanes. */
const dotWeights =
  (local: (l: number) => number, weights: number) =>
  (load: Code): Code => [
    ...[...get(weights), ...get(K), ...add, ...load, ...set(WEIGHT)],
    ...eachLane((l) => [
      ...[...get(local(l)), ...get(row(l)), ...get(K), ...add, ...load, ...get(WEIGHT), ...mul2],
      ...[...add2, ...set(local(l))],
    ]),
  ]

const predictOne: Code = groups([
  ...clear(form),
  ...clear(estimate),
  ...overPairs(get(PACKED), dotWeights(form, VECTORS)),
  ...eachLane((l) => advance(row(l), bytes(get(PACKED)))),
  // The vector itself lies behind its outer product.
  ...[...get(VECTORS), ...bytes(get(PACKED)), ...add, ...set(I)],
  ...overPairs(get(D), dotWeights(estimate, I)),
  ...store(VARIANCES, form),
  ...store(ESTIMATES, estimate),
])

const estimateOne: Code = groups([
  ...clear(estimate),
  ...eachLane((l) => advance(row(l), bytes(get(PACKED)))),
  ...[...get(VECTORS), ...bytes(get(PACKED)), ...add, ...set(I)],
  ...overPairs(get(D), dotWeights(estimate, I)),
  ...store(ESTIMATES, estimate),
])

/** Row i of the triangle: form(l) += xᵢ·(2·Σ_{j<i} aᵢⱼxⱼ + aᵢᵢxᵢ). */
const triangleRow: Code = [
  ...clear(sum),
  ...overPairs(get(I), dotVectors(sum)),
  ...eachLane((l) => [
    ...[...get(form(l)), ...get(x(l)), ...bytes(get(I)), ...add, ...loadTwice],
    ...[...get(sum(l)), ...get(sum(l)), ...add2],
    ...[
      ...get(row(l)),
      ...bytes(get(I)),
      ...add,
      ...load1,
      ...get(x(l)),
      ...bytes(get(I)),
      ...add,
      ...load1,
      ...mul2,
    ],
    ...[...add2, ...mul2, ...add2, ...set(form(l))],
  ]),
  ...advance(I, constant(1)),
  ...eachLane((l) => advance(row(l), bytes(get(I)))),
]

const predictEach: Code = groups([
  ...eachLane((l) => [
    ...get(VECTORS),
    ...bytes([...get(index(l)), ...get(D), ...mul]),
    ...add,
    ...set(x(l)),
  ]),
  ...clear(form),
  ...clear(estimate),
  ...[...constant(0), ...set(I)],
  ...whileLoop([...get(I), ...get(D), ...lessThan], triangleRow),
  ...overPairs(get(D), dotVectors(estimate)),
  ...store(VARIANCES, form),
  ...store(ESTIMATES, estimate),
])

// Parameters and locals of `outer`, in bytes where they count numbers: the place in the row, the row's length; 2xᵢ twice.
const OUTER_X = 0
const OUT = 1
const OUTER_D = 2
const J = 3
const ROW = 4
const TWICE = 5
const xAt = (offset: number): Code => [...get(OUTER_X), ...get(offset), ...add]
const outer: Code = [
  ...[...bytes(get(OUTER_D)), ...set(OUTER_D), ...constant(0), ...set(ROW)],
  ...whileLoop(
    [...get(ROW), ...get(OUTER_D), ...lessThan],
    [
      ...[...xAt(ROW), ...loadTwice, ...xAt(ROW), ...loadTwice, ...add2, ...set(TWICE)],
      ...[...constant(0), ...set(J)],
      // The last pair of an odd row reaches to the diagonal, which comes after it.
      ...whileLoop(
        [...get(J), ...get(ROW), ...lessThan],
        [
          ...[...get(OUT), ...get(J), ...add, ...get(TWICE), ...xAt(J), ...load2, ...mul2, ...store2],
          ...advance(J, constant(16)),
        ],
      ),
      ...[...get(OUT), ...get(ROW), ...add, ...xAt(ROW), ...load1, ...xAt(ROW), ...load1],
      ...[...mul2, ...lane(0), ...storeF64],
      ...advance(OUT, [...get(ROW), ...constant(8), ...add]),
      ...advance(ROW, constant(8)),
    ],
  ),
]

const MODULE = assemble([
  { name: 'outer', parameters: 3, integers: 2, pairs: 1, body: outer },
  { name: 'predictOne', parameters: 8, integers: INTEGERS, pairs: PAIRS, body: predictOne },
  { name: 'predictEach', parameters: 8, integers: INTEGERS, pairs: PAIRS, body: predictEach },
  { name: 'estimateOne', parameters: 8, integers: INTEGERS, pairs: PAIRS, body: estimateOne },
])

/** The kernel over a memory. */
export const ridgeKernel = (memory: WasmMemory): RidgeKernel => instantiate(MODULE, memory) as RidgeKernel
