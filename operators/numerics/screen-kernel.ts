/**
 * Quadratic forms of packed symmetric matrices from copies in float32: half the memory to read and half the instructions, for an error that is known. What
 * tells which of many arms are worth an exact look (models/ridge-screen.ts).
 *
 * Of a form Σ w·A both factors are rounded to float32, and multiplied and added as such, four at once, but for at most 16 additions in a row: then the
 * sums go on as float64. So the error is at most (16 + 3)·2⁻²⁴·Σ|w·A| and what is smaller by as much again; `SCREEN_ERROR` leaves a good half to spare.
 * Four rows are under way at once, as in ridge-kernel.ts.
 */
import {
  add,
  add2,
  add4,
  addF64,
  assemble,
  type Code,
  constant,
  eachLane,
  get,
  high2,
  instantiate,
  lane,
  lessThan,
  load1,
  load2,
  loadI32,
  mul,
  mul2,
  mul4,
  narrow,
  select,
  set,
  shiftLeft,
  storeF64,
  storeHalf,
  sub,
  type WasmMemory,
  when,
  whileLoop,
  widen,
  zero2,
} from './wasm-assembly.ts'

/** The error of a form is at most this, times Σ|w·A|, while no factor is below float32's normal numbers. */
export const SCREEN_ERROR = 2 ** -19

/** Float32 numbers in the copy of so many: whole groups of four, the last filled up with zeros. */
export const screenLength = (numbers: number): number => (numbers + 3) & ~3

/** Parameters are addresses in the memory, but for counts. */
export interface ScreenKernel {
  /** Copies `count` float64 as float32; where that is odd a zero follows. Writes the sum of their squares to `squares`. */
  condense(from: number, to: number, count: number, squares: number): void
  /**
   * The forms of `count` rows of a table of float32: Σ weights·row.
   * @param rows u32, the rows' numbers
   * @param weights as many float32 as a row holds
   * @param length numbers of a row, as `screenLength` gives it
   * @param forms float64
   */
  screen(table: number, rows: number, weights: number, count: number, length: number, forms: number): void
}

/** Bytes of 16 vectors of four float32. */
const RUN = 256

const advance = (local: number, by: Code): Code => [...get(local), ...by, ...add, ...set(local)]

/** Parameters and locals of `condense`; the bytes still to read, the address behind the last pair, and pairs of float64. */
const FROM = 0
const TO = 1
const NUMBERS = 2
const SQUARES = 3
const LAST = 4
const PAIR = 5
const SUM = 6

const condensePair = (load: Code): Code => [
  ...[...get(FROM), ...load, ...set(PAIR)],
  ...[...get(SUM), ...get(PAIR), ...get(PAIR), ...mul2, ...add2, ...set(SUM)],
  ...[...get(TO), ...get(PAIR), ...narrow, ...storeHalf],
  ...[...advance(FROM, constant(16)), ...advance(TO, constant(8))],
]
const condense: Code = [
  ...[...get(FROM), ...get(NUMBERS), ...constant(3), ...shiftLeft, ...add, ...set(LAST)],
  ...[...zero2, ...set(SUM)],
  ...whileLoop([...get(FROM), ...constant(8), ...add, ...get(LAST), ...lessThan], condensePair(load2)),
  ...when([...get(FROM), ...get(LAST), ...lessThan], condensePair(load1)),
  ...[...get(SQUARES), ...get(SUM), ...lane(0), ...get(SUM), ...lane(1), ...addF64, ...storeF64],
]

// Parameters of `screen`.
const TABLE = 0
const ROWS = 1
const WEIGHTS = 2
const COUNT = 3
const LENGTH = 4
const FORMS = 5
// i32 locals: the group; in bytes the place in its rows, the ends of the run and of the row; each lane's index and the address of its row.
const N = 6
const K = 7
const RUN_END = 8
const END = 9
const index = (l: number): number => 10 + l
const row = (l: number): number => 14 + l
const INTEGERS = 12
// A vector of weights; each lane's sum of the run, as float32, and of the row, as float64.
const WEIGHT = 18
const run = (l: number): number => 19 + l
const total = (l: number): number => 23 + l
const VECTORS = 9

/** index(l) = min(n + l, count − 1); row(l) = table + rows[index(l)]·bytes of a row. */
const locate: Code = eachLane((l) => [
  ...[...get(N), ...constant(l), ...add, ...get(COUNT), ...constant(1), ...sub],
  ...[...get(N), ...constant(l), ...add, ...get(COUNT), ...lessThan, ...select, ...set(index(l))],
  ...[...get(ROWS), ...get(index(l)), ...constant(2), ...shiftLeft, ...add, ...loadI32],
  ...[...get(END), ...mul, ...get(TABLE), ...add, ...set(row(l))],
])

/** RUN_END = min(K + RUN, END). */
const nextRun: Code = [
  ...[...get(K), ...constant(RUN), ...add, ...get(END)],
  ...[...get(K), ...constant(RUN), ...add, ...get(END), ...lessThan, ...select, ...set(RUN_END)],
]

const addRun: Code = [
  ...[...eachLane((l) => [...zero2, ...set(run(l))]), ...nextRun],
  ...whileLoop(
    [...get(K), ...get(RUN_END), ...lessThan],
    [
      ...[...get(WEIGHTS), ...get(K), ...add, ...load2, ...set(WEIGHT)],
      ...eachLane((l) => [
        ...[...get(run(l)), ...get(row(l)), ...get(K), ...add, ...load2, ...get(WEIGHT)],
        ...[...mul4, ...add4, ...set(run(l))],
      ]),
      ...advance(K, constant(16)),
    ],
  ),
  ...eachLane((l) => [
    ...[...get(total(l)), ...get(run(l)), ...widen, ...add2],
    ...[...get(run(l)), ...get(run(l)), ...high2, ...widen, ...add2, ...set(total(l))],
  ]),
]

const screen: Code = [
  ...[...get(LENGTH), ...constant(2), ...shiftLeft, ...set(END), ...constant(0), ...set(N)],
  ...whileLoop(
    [...get(N), ...get(COUNT), ...lessThan],
    [
      ...[...locate, ...eachLane((l) => [...zero2, ...set(total(l))]), ...constant(0), ...set(K)],
      ...whileLoop([...get(K), ...get(END), ...lessThan], addRun),
      ...eachLane((l) => [
        ...[...get(FORMS), ...get(index(l)), ...constant(3), ...shiftLeft, ...add],
        ...[...get(total(l)), ...lane(0), ...get(total(l)), ...lane(1), ...addF64, ...storeF64],
      ]),
      ...advance(N, constant(4)),
    ],
  ),
]

const MODULE = assemble([
  { name: 'condense', parameters: 4, integers: 1, pairs: 2, body: condense },
  { name: 'screen', parameters: 6, integers: INTEGERS, pairs: VECTORS, body: screen },
])

/** The kernel over a memory. */
export const screenKernel = (memory: WasmMemory): ScreenKernel => instantiate(MODULE, memory) as ScreenKernel
