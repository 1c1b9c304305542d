/**
 * A sparse query times a chunk, the classifiers of all children of one parent (chunked-weights.ts), in WebAssembly. Most of a search is
 * spent here; plain loops take several times as long, for they check every access to a typed array.
 *
 * Weights are float32 and sums float64, added in the order of the query's features, the bias first.
 */
import {
  add,
  add2,
  addF64,
  and,
  assemble,
  type Code,
  constant,
  either,
  get,
  instantiate,
  lessThan,
  load2At,
  loadF32At,
  loadF64At,
  loadHalfAt,
  loadI32,
  loadI32At,
  mul,
  mul2,
  mulF64,
  notEqual,
  notLessF64,
  set,
  shiftLeft,
  shiftRight,
  store2At,
  storeF64,
  storeI32At,
  sub,
  toF64,
  twice,
  type WasmMemory,
  whileLoop,
  widen,
} from '../../numerics/wasm-assembly.ts'

/** All parameters are addresses. */
export interface ChunkKernel {
  /**
   * @param chunk its head: seven i32, see HEAD
   * @param query, @param queryEnd pairs of a feature, i32, and its value, float32
   * @param values one float64 a child, a multiple of four; written
   */
  multiply(chunk: number, query: number, queryEnd: number, values: number): void
  /**
   * Finds the values that are large enough, without a branch: which they are cannot be foretold. LEAST says how large, COUNT will say how many.
   * @param values, @param valuesEnd float64
   * @param places of those found, i32 by rising place; written, one number more than found too
   */
  pick(values: number, valuesEnd: number, places: number): void
}

/** Where `pick` reads a float64, and writes an i32. */
export const LEAST = 8
export const COUNT = 16

/** What a chunk's head says, by offset: where its constants lie, float64 a child; bytes of them; where its table lies; bytes of that less one slot; shift of the hash. */
export const HEAD = { constants: 0, valueBytes: 4, table: 8, mask: 12, shift: 16, bytes: 32 } as const
/** A slot of the table: a feature, and the address of its row; odd where the row is dense. */
export const SLOT = 8
/** The feature of a slot that has none. */
export const EMPTY = -1
/**
 * A sparse row: bytes of its entries, a gap, then entries of a weight and 8 times the child's place. A dense row: a weight a child, a multiple of four.
 */
export const ENTRY = 8
/** Fibonacci hashing: 2³² divided by the golden ratio. */
export const GOLDEN = 0x9e3779b1 | 0

// Parameters.
const CHUNK = 0
const QUERY = 1
const QUERY_END = 2
const VALUES = 3
// i32 locals.
const BYTES = 4
const TABLE = 5
const MASK = 6
const SHIFT = 7
const FEATURE = 8
const AT = 9
const ROW = 10
const I = 11
const END = 12
const INTEGERS = 9
// A pair: x twice.
const X2 = 13
// A float64: x.
const X = 14

const advance = (local: number, by: number): Code => [...get(local), ...constant(by), ...add, ...set(local)]
const field = (offset: number, local: number): Code => [...get(CHUNK), ...loadI32At(offset), ...set(local)]

/** values = constants, 32 bytes at once. */
const start: Code = [
  ...field(HEAD.constants, ROW),
  ...[...get(VALUES), ...set(AT), ...get(VALUES), ...get(BYTES), ...add, ...set(END)],
  ...whileLoop(
    [...get(AT), ...get(END), ...lessThan],
    [
      ...[...get(AT), ...get(ROW), ...load2At(0), ...store2At(0)],
      ...[...get(AT), ...get(ROW), ...load2At(16), ...store2At(16)],
      ...[...advance(AT, 32), ...advance(ROW, 32)],
    ],
  ),
]

/** AT = the slot of FEATURE, or the empty one where the search for it ends. */
const find: Code = [
  ...[
    ...get(FEATURE),
    ...constant(GOLDEN),
    ...mul,
    ...get(SHIFT),
    ...shiftRight,
    ...constant(3),
    ...shiftLeft,
    ...set(I),
  ],
  ...[...get(TABLE), ...get(I), ...add, ...set(AT)],
  ...whileLoop(
    [
      ...[...get(AT), ...loadI32, ...get(FEATURE), ...notEqual],
      ...[...get(AT), ...loadI32, ...constant(EMPTY), ...notEqual, ...and],
    ],
    [
      ...[...get(I), ...constant(SLOT), ...add, ...get(MASK), ...and, ...set(I)],
      ...[...get(TABLE), ...get(I), ...add, ...set(AT)],
    ],
  ),
]

const addDense = (offset: number): Code => [
  ...[...get(AT), ...get(AT), ...load2At(2 * offset)],
  ...[...get(X2), ...get(ROW), ...loadHalfAt(offset), ...widen, ...mul2],
  ...[...add2, ...store2At(2 * offset)],
]
const dense: Code = [
  ...[...get(X), ...twice, ...set(X2)],
  ...[...get(VALUES), ...set(AT), ...get(VALUES), ...get(BYTES), ...add, ...set(END)],
  ...[...get(ROW), ...constant(1), ...sub, ...set(ROW)],
  ...whileLoop(
    [...get(AT), ...get(END), ...lessThan],
    [...addDense(0), ...addDense(8), ...advance(AT, 32), ...advance(ROW, 16)],
  ),
]

const sparse: Code = [
  ...[...get(ROW), ...constant(8), ...add, ...set(AT)],
  ...[...get(AT), ...get(ROW), ...loadI32, ...add, ...set(END)],
  ...whileLoop(
    [...get(AT), ...get(END), ...lessThan],
    [
      ...[...get(VALUES), ...get(AT), ...loadI32At(4), ...add, ...set(I)],
      ...[
        ...get(I),
        ...get(I),
        ...loadF64At(0),
        ...get(X),
        ...get(AT),
        ...loadF32At(0),
        ...toF64,
        ...mulF64,
        ...addF64,
      ],
      ...[...storeF64, ...advance(AT, ENTRY)],
    ],
  ),
]

const multiply: Code = [
  ...[...field(HEAD.valueBytes, BYTES), ...field(HEAD.table, TABLE), ...field(HEAD.mask, MASK)],
  ...[...field(HEAD.shift, SHIFT), ...start],
  ...whileLoop(
    [...get(QUERY), ...get(QUERY_END), ...lessThan],
    [
      ...[...get(QUERY), ...loadI32, ...set(FEATURE), ...find],
      ...either(
        [...get(AT), ...loadI32, ...get(FEATURE), ...notEqual],
        [],
        [
          ...[...get(QUERY), ...loadF32At(4), ...toF64, ...set(X)],
          ...[...get(AT), ...loadI32At(4), ...set(ROW)],
          ...either([...get(ROW), ...constant(1), ...and], dense, sparse),
        ],
      ),
      ...advance(QUERY, 8),
    ],
  ),
]

// Of pick: locals 0 to 2 are its parameters, then places in all, the place under way, the end of the values.
const PLACES = 2
const FIRST = 3
const PLACE = 4
const PICK_LEAST = 5
const pick: Code = [
  ...[...get(PLACES), ...set(FIRST), ...constant(0), ...loadF64At(LEAST), ...set(PICK_LEAST)],
  ...whileLoop(
    [...get(0), ...get(1), ...lessThan],
    [
      ...[...get(PLACES), ...get(PLACE), ...storeI32At(0)],
      ...[...get(PLACES), ...get(0), ...loadF64At(0), ...get(PICK_LEAST), ...notLessF64],
      ...[...constant(2), ...shiftLeft, ...add, ...set(PLACES)],
      ...[...advance(PLACE, 1), ...advance(0, 8)],
    ],
  ),
  ...[
    ...constant(0),
    ...get(PLACES),
    ...get(FIRST),
    ...sub,
    ...constant(2),
    ...shiftRight,
    ...storeI32At(COUNT),
  ],
]

const MODULE = assemble([
  { name: 'pick', parameters: 3, integers: 2, pairs: 0, doubles: 1, body: pick },
  { name: 'multiply', parameters: 4, integers: INTEGERS, pairs: 1, doubles: 1, body: multiply },
])

/** The kernel over a memory. */
export const chunkKernel = (memory: WasmMemory): ChunkKernel => instantiate(MODULE, memory) as ChunkKernel
