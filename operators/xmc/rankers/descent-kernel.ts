/**
 * The inner loops of dual coordinate descent in WebAssembly: one pass over the documents, and the two products that it is made of for a solver that
 * passes by itself. Four features are gathered at a time, two products an instruction.
 *
 * Memory: at 0 the numbers of `HEADER`; then whatever order `TrainingRows` has laid out. A record is a document, 32 bytes: the addresses where its features
 * begin and end (i32), its multiplier α, its squared length and its side, 1 or −1 (float64). A block of features is 32 bytes: the addresses of four
 * weights (i32), four values (float32). Weights are float64, sums too, in one order.
 */
import {
  absF64,
  add,
  add2,
  addF64,
  and,
  assemble,
  type Code,
  constant,
  constantF64,
  divF64,
  either,
  equalF64,
  get,
  greaterF64,
  high2,
  instantiate,
  lane,
  lessF64,
  lessThan,
  load1At,
  load4At,
  loadF64At,
  loadI32,
  loadI32At,
  loadLane,
  maxF64,
  minF64,
  mul2,
  mulF64,
  mulHigh,
  or,
  select,
  set,
  shiftLeft,
  shiftRight,
  storeF64At,
  storeI32At,
  storeLane,
  sub,
  subF64,
  twice,
  type WasmMemory,
  when,
  whileLoop,
  widen,
  xor,
  zero2,
} from '../../numerics/wasm-assembly.ts'

/** Addresses. The first four are i32, the others float64. */
export const HEADER = {
  order: 0,
  active: 4,
  seed: 8,
  /** Of no meaning: what was loaded ahead. */
  touched: 12,
  /** Weight of the constant feature, and its value. */
  b: 16,
  bias: 24,
  /** Rows at α = 0 whose gradient is larger, and rows at their upper bound whose gradient is smaller, leave the active ones. */
  above: 32,
  below: 40,
  /** What a pass has met: the ends of the projected gradient. */
  largest: 48,
  smallest: 56,
  /** For each side the diagonal of the dual and the upper bound of α. */
  negativeDiagonal: 64,
  negativeUpper: 72,
  positiveDiagonal: 80,
  positiveUpper: 88,
  /** What `multiply` leaves and `addRow` takes. */
  product: 96,
  step: 104,
  end: 128,
} as const

export const RECORD = { bytes: 32, start: 0, end: 4, alpha: 8, square: 16, side: 24 } as const
export const BLOCK = { bytes: 32, features: 4, values: 16 } as const

export interface DescentKernel {
  /** A pass over the active rows in a random order; those that leave are behind them in `order` afterwards. */
  pass(): void
  /** `product` = w·x + b·bias of a record. */
  multiply(record: number): void
  /** w += step·x, b += step·bias. */
  addRow(record: number): void
}

/** The locals of a function; numbers are given to kinds in the order that WebAssembly has them. */
const RECORD_AT = 0
const AT = 1
const END = 2
const PLACE = 3
const LAST = 4
const SEED = 5
const OTHER = 6
const NEXT = 7
const TOUCHED = 8
const INTEGERS = 9
const SUM = 9
const VALUES = 10
const STEP2 = 11
const PAIRS = 3
const B = 12
const BIAS = 13
const ALPHA = 14
const GRADIENT = 15
const PROJECTED = 16
const DIAGONAL = 17
const UPPER = 18
const LARGEST = 19
const SMALLEST = 20
const STEP = 21
const SIDE = 22
const FLOATS = 11

const header = (at: number): Code => [...constant(0), ...loadF64At(at)]
const field = (at: number): Code => [...get(RECORD_AT), ...loadF64At(at)]
const advance = (local: number, by: number): Code => [...get(local), ...constant(by), ...add, ...set(local)]

/** Runs `body` for each block of the record's features, its address in AT. */
const overBlocks = (body: Code): Code => [
  ...[...get(RECORD_AT), ...loadI32At(RECORD.start), ...set(AT)],
  ...[...get(RECORD_AT), ...loadI32At(RECORD.end), ...set(END)],
  ...whileLoop([...get(AT), ...get(END), ...lessThan], [...body, ...advance(AT, BLOCK.bytes)]),
]

/** The weights of two features of the block, the first of them at `place`. */
const weights = (place: number): Code => [
  ...[...get(AT), ...loadI32At(4 * place + 4)],
  ...[...get(AT), ...loadI32At(4 * place), ...load1At(0)],
  ...loadLane(1),
]

const half = (upper: boolean): Code => [
  ...get(VALUES),
  ...(upper ? [...get(VALUES), ...high2] : []),
  ...widen,
]

const loadValues: Code = [...get(AT), ...load4At(BLOCK.values), ...set(VALUES)]

/** Leaves w·x + b·bias. */
const product: Code = [
  ...[...zero2, ...set(SUM)],
  ...overBlocks([
    ...loadValues,
    ...[...weights(0), ...half(false), ...mul2],
    ...[...weights(2), ...half(true), ...mul2],
    ...[...add2, ...get(SUM), ...add2, ...set(SUM)],
  ]),
  ...[...get(SUM), ...lane(0), ...get(SUM), ...lane(1), ...addF64],
  ...[...get(B), ...get(BIAS), ...mulF64, ...addF64],
]

/** Two weights of the block go up by STEP2 times their values. */
const addPair = (place: number): Code => [
  ...[...weights(place), ...half(place > 0), ...get(STEP2), ...mul2, ...add2, ...set(SUM)],
  ...[...get(AT), ...loadI32At(4 * place), ...get(SUM), ...storeLane(0)],
  ...[...get(AT), ...loadI32At(4 * place + 4), ...get(SUM), ...storeLane(1)],
]

/** w += STEP·x, b += STEP·bias. */
const addStep: Code = [
  ...[...get(STEP), ...twice, ...set(STEP2)],
  ...overBlocks([...loadValues, ...addPair(0), ...addPair(2)]),
  ...[...get(B), ...get(STEP), ...get(BIAS), ...mulF64, ...addF64, ...set(B)],
]

const word = (local: number): Code => [...get(local), ...loadI32]
/** xorshift (Marsaglia 2003): 13 left, 17 right, 5 left. */
const shifted = (by: number, direction: Code): Code => [
  ...[...get(SEED), ...get(SEED), ...constant(by), ...direction, ...xor, ...set(SEED)],
]

/** The record at NEXT swaps its place with one drawn from those up to LAST. What it needs is touched, so that it lies in the cache when its turn comes. */
const drawNext: Code = [
  ...[...shifted(13, shiftLeft), ...shifted(17, shiftRight), ...shifted(5, shiftLeft)],
  ...mulHigh(get(SEED), [...get(LAST), ...get(NEXT), ...sub, ...constant(2), ...shiftRight]),
  ...[...constant(2), ...shiftLeft, ...get(NEXT), ...add, ...set(OTHER)],
  ...[...word(OTHER), ...set(RECORD_AT)],
  ...[...get(OTHER), ...word(NEXT), ...storeI32At(0)],
  ...[...get(NEXT), ...get(RECORD_AT), ...storeI32At(0)],
  ...[...get(RECORD_AT), ...loadI32At(RECORD.start), ...set(OTHER)],
  ...[...get(TOUCHED), ...get(OTHER), ...loadI32, ...xor],
  ...[...get(OTHER), ...loadI32At(64), ...xor, ...set(TOUCHED)],
]

/** RECORD_AT becomes the record at PLACE, drawn before; the one behind it is drawn. */
const takeRecord: Code = [
  ...[...get(PLACE), ...constant(4), ...add, ...set(NEXT)],
  ...when([...get(NEXT), ...get(LAST), ...lessThan], drawNext),
  ...[...word(PLACE), ...set(RECORD_AT)],
]

const bySide = (positive: number, negative: number): Code => [
  ...[...header(positive), ...header(negative)],
  ...[...get(SIDE), ...constantF64(0), ...greaterF64, ...select],
]

/** G = y(w·x + b·bias) − 1 + D α, and the bounds of α. */
const measure: Code = [
  ...[...field(RECORD.side), ...set(SIDE)],
  ...[...field(RECORD.alpha), ...set(ALPHA)],
  ...[...bySide(HEADER.positiveDiagonal, HEADER.negativeDiagonal), ...set(DIAGONAL)],
  ...[...bySide(HEADER.positiveUpper, HEADER.negativeUpper), ...set(UPPER)],
  ...[...product, ...get(SIDE), ...mulF64, ...constantF64(1), ...subF64],
  ...[...get(DIAGONAL), ...get(ALPHA), ...mulF64, ...addF64, ...set(GRADIENT)],
]

const atZero: Code = [...get(ALPHA), ...constantF64(0), ...equalF64]
const atUpper: Code = [...get(ALPHA), ...get(UPPER), ...equalF64]

/** A row that no step can help by much leaves: the last active one takes its place and is looked at next. */
const leaves: Code = [
  ...[...atZero, ...get(GRADIENT), ...header(HEADER.above), ...greaterF64, ...and],
  ...[...atUpper, ...get(GRADIENT), ...header(HEADER.below), ...lessF64, ...and, ...or],
]
const leave: Code = [
  ...advance(LAST, -4),
  ...[...get(PLACE), ...word(LAST), ...storeI32At(0)],
  ...[...get(LAST), ...get(RECORD_AT), ...storeI32At(0)],
]

/** The gradient, less what would push α out of its bounds. */
const project: Code = [
  ...[...get(GRADIENT), ...constantF64(0), ...minF64],
  ...[...get(GRADIENT), ...constantF64(0), ...maxF64, ...get(GRADIENT), ...atUpper, ...select],
  ...[...atZero, ...select, ...set(PROJECTED)],
  ...[...get(LARGEST), ...get(PROJECTED), ...maxF64, ...set(LARGEST)],
  ...[...get(SMALLEST), ...get(PROJECTED), ...minF64, ...set(SMALLEST)],
]

/** α' = min(max(α − G/(x·x + D), 0), U). */
const move: Code = [
  ...[...get(ALPHA), ...get(GRADIENT), ...field(RECORD.square), ...get(DIAGONAL), ...addF64, ...divF64],
  ...[...subF64, ...constantF64(0), ...maxF64, ...get(UPPER), ...minF64, ...set(PROJECTED)],
  ...[...get(RECORD_AT), ...get(PROJECTED), ...storeF64At(RECORD.alpha)],
  ...[...get(PROJECTED), ...get(ALPHA), ...subF64, ...get(SIDE), ...mulF64, ...set(STEP)],
  ...addStep,
]

const loadBias: Code = [...[...header(HEADER.b), ...set(B)], ...[...header(HEADER.bias), ...set(BIAS)]]
const store = (at: number, local: number): Code => [...constant(0), ...get(local), ...storeF64At(at)]

const pass: Code = [
  ...loadBias,
  ...[...constantF64(Number.NEGATIVE_INFINITY), ...set(LARGEST)],
  ...[...constantF64(Number.POSITIVE_INFINITY), ...set(SMALLEST)],
  ...[...constant(HEADER.seed), ...loadI32, ...set(SEED)],
  ...[...constant(HEADER.order), ...loadI32, ...set(PLACE)],
  ...[
    ...constant(HEADER.active),
    ...loadI32,
    ...constant(2),
    ...shiftLeft,
    ...get(PLACE),
    ...add,
    ...set(LAST),
  ],
  ...[...get(PLACE), ...set(NEXT)],
  ...when([...get(NEXT), ...get(LAST), ...lessThan], drawNext),
  ...whileLoop(
    [...get(PLACE), ...get(LAST), ...lessThan],
    [
      ...takeRecord,
      ...measure,
      ...either(leaves, leave, [
        ...project,
        ...when([...get(PROJECTED), ...absF64, ...constantF64(1e-12), ...greaterF64], move),
        ...advance(PLACE, 4),
      ]),
    ],
  ),
  ...[...store(HEADER.b, B), ...store(HEADER.largest, LARGEST), ...store(HEADER.smallest, SMALLEST)],
  ...[...constant(HEADER.seed), ...get(SEED), ...storeI32At(0)],
  ...[...constant(HEADER.touched), ...get(TOUCHED), ...storeI32At(0)],
  ...[...constant(HEADER.active), ...get(LAST), ...constant(HEADER.order), ...loadI32, ...sub],
  ...[...constant(2), ...shiftRight, ...storeI32At(0)],
]

const MODULE = assemble(
  [
    { name: 'pass', parameters: 1, body: pass },
    {
      name: 'multiply',
      parameters: 1,
      body: [...loadBias, ...constant(0), ...product, ...storeF64At(HEADER.product)],
    },
    {
      name: 'addRow',
      parameters: 1,
      body: [...loadBias, ...header(HEADER.step), ...set(STEP), ...addStep, ...store(HEADER.b, B)],
    },
  ].map((code) => ({ ...code, integers: INTEGERS - 1, pairs: PAIRS, doubles: FLOATS })),
)

/** The functions over a memory that holds what they are told of. */
export const descentKernel = (memory: WasmMemory): DescentKernel => {
  const { pass, multiply, addRow } = instantiate(MODULE, memory) as {
    pass(unused: number): void
    multiply(record: number): void
    addRow(record: number): void
  }
  return { pass: () => pass(0), multiply, addRow }
}
