/**
 * Just enough of WebAssembly's binary format to write a small kernel by hand: one module, functions over i32 parameters, one imported memory
 * (`env.memory`). An instruction is a list of bytes; a body is instructions one after the other. No toolchain, nothing to download.
 */
export type Code = readonly number[]

/** The part of WebAssembly's JavaScript interface used here; the standard library's types have it for browsers only. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}
interface WebAssemblyInterface {
  readonly Memory: new (limits: { initial: number }) => WasmMemory
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}
declare const WebAssembly: WebAssemblyInterface

export const PAGE = 65_536
export const createMemory = (pages: number): WasmMemory => new WebAssembly.Memory({ initial: pages })

const I32 = 0x7f
export const V128 = 0x7b
const F64 = 0x7c
const FUNCTION = 0x60

/** Unsigned and signed LEB128. */
const unsigned = (n: number): Code => (n < 128 ? [n] : [(n & 127) | 128, ...unsigned(n >>> 7)])
const signed = (n: number): Code => {
  const low = n & 127
  const rest = n >> 7
  const last = (rest === 0 && (low & 64) === 0) || (rest === -1 && (low & 64) !== 0)
  return last ? [low] : [low | 128, ...signed(rest)]
}
const text = (value: string): Code => [value.length, ...Array.from(value, (c) => c.charCodeAt(0))]
const vector = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()]
const section = (id: number, content: Code): Code => [id, ...unsigned(content.length), ...content]

export const get = (local: number): Code => [0x20, ...unsigned(local)]
export const set = (local: number): Code => [0x21, ...unsigned(local)]
export const constant = (n: number): Code => [0x41, ...signed(n)]
export const add: Code = [0x6a]
export const sub: Code = [0x6b]
export const mul: Code = [0x6c]
export const and: Code = [0x71]
export const shiftLeft: Code = [0x74]
export const lessThan: Code = [0x49]
/** The first of two values if the third is not 0, else the second. */
export const select: Code = [0x1b]
export const loadI32: Code = [0x28, 2, 0]
export const storeF64: Code = [0x39, 3, 0]
export const addF64: Code = [0xa0]
/** The code of four rows at once, one after the other. */
export const eachLane = (code: (lane: number) => Code): Code => [0, 1, 2, 3].flatMap(code)
/** Two float64 at once: load both, load one and zero, load one twice, store both, add, multiply, one of them. */
export const load2: Code = [0xfd, 0x00, 3, 0]
export const load1: Code = [0xfd, 0x5d, 3, 0]
export const loadTwice: Code = [0xfd, 0x0a, 3, 0]
export const store2: Code = [0xfd, 0x0b, 3, 0]
export const add2: Code = [0xfd, 0xf0, 0x01]
export const mul2: Code = [0xfd, 0xf2, 0x01]
/** Four float32 at once: add, multiply; the first two as float64, and two float64 as float32, the others zero; the first two stored. */
export const add4: Code = [0xfd, 0xe4, 0x01]
export const mul4: Code = [0xfd, 0xe6, 0x01]
export const widen: Code = [0xfd, 0x5f]
export const narrow: Code = [0xfd, 0x5e]
export const storeHalf: Code = [0xfd, 0x5b, 2, 0, 0]
export const lane = (index: 0 | 1): Code => [0xfd, 0x21, index]
/** The first of each of two pairs, and the second of each: sixteen bytes picked out of both. */
const bytesFrom = (start: number): Code => Array.from({ length: 8 }, (_, i) => start + i)
export const low2: Code = [0xfd, 0x0d, ...bytesFrom(0), ...bytesFrom(16)]
export const high2: Code = [0xfd, 0x0d, ...bytesFrom(8), ...bytesFrom(24)]
export const zero2: Code = [0xfd, 0x0c, ...new Array<number>(16).fill(0)]

/** Scalars: a float64 of its own, loads and stores at an address plus `offset` bytes, and what is done with them. */
export const constantF64 = (value: number): Code => [0x44, ...new Uint8Array(Float64Array.of(value).buffer)]
export const loadI32At = (offset: number): Code => [0x28, 2, ...unsigned(offset)]
export const storeI32At = (offset: number): Code => [0x36, 2, ...unsigned(offset)]
export const loadF64At = (offset: number): Code => [0x2b, 3, ...unsigned(offset)]
export const storeF64At = (offset: number): Code => [0x39, 3, ...unsigned(offset)]
export const subF64: Code = [0xa1]
export const mulF64: Code = [0xa2]
export const divF64: Code = [0xa3]
export const minF64: Code = [0xa4]
export const maxF64: Code = [0xa5]
export const absF64: Code = [0x99]
export const equalF64: Code = [0x61]
export const lessF64: Code = [0x63]
export const greaterF64: Code = [0x64]
export const or: Code = [0x72]
export const xor: Code = [0x73]
export const shiftRight: Code = [0x76]
/** The high word of the product of two unsigned integers: a random word and n give a whole number below n. */
export const mulHigh = (a: Code, b: Code): Code => [
  ...[...a, 0xad, ...b, 0xad, 0x7e], // both as i64, multiplied
  ...[0x42, 32, 0x88, 0xa7], // shifted by 32, as i32 again
]
/** Four float32 at an address plus `offset`. */
export const load4At = (offset: number): Code => [0xfd, 0x00, 2, ...unsigned(offset)]
/** A float64 loaded into, or stored from, one of two: what is gathered and scattered. */
export const load1At = (offset: number): Code => [0xfd, 0x5d, 3, ...unsigned(offset)]
export const loadLane = (index: 0 | 1): Code => [0xfd, 0x57, 3, 0, index]
export const storeLane = (index: 0 | 1): Code => [0xfd, 0x5b, 3, 0, index]
/** Two float64 at an address plus `offset`, loaded and stored; two float32, of four; a float32, and what makes a float64 of it. */
export const load2At = (offset: number): Code => [0xfd, 0x00, 3, ...unsigned(offset)]
export const store2At = (offset: number): Code => [0xfd, 0x0b, 3, ...unsigned(offset)]
export const loadHalfAt = (offset: number): Code => [0xfd, 0x5d, 2, ...unsigned(offset)]
export const loadF32At = (offset: number): Code => [0x2a, 2, ...unsigned(offset)]
export const toF64: Code = [0xbb]
export const notEqual: Code = [0x47]
export const notLessF64: Code = [0x66]
/** Both of two become one number. */
export const twice: Code = [0xfd, 0x14]

/** Repeats `body` while `condition` leaves something other than 0. */
export const whileLoop = (condition: Code, body: Code): Code => [
  ...[0x02, 0x40, 0x03, 0x40], // block, loop
  ...condition,
  ...[0x45, 0x0d, 1], // leave the block if it is 0
  ...body,
  ...[0x0c, 0, 0x0b, 0x0b], // again
]
export const when = (condition: Code, body: Code): Code => [...condition, 0x04, 0x40, ...body, 0x0b]
export const either = (condition: Code, body: Code, otherwise: Code): Code => [
  ...[...condition, 0x04, 0x40, ...body, 0x05, ...otherwise, 0x0b],
]

export interface WasmFunction {
  readonly name: string
  /** Number of i32 parameters: locals 0, 1, … */
  readonly parameters: number
  /** Further locals: first i32, then pairs of float64. */
  readonly integers: number
  readonly pairs: number
  /** Then float64. */
  readonly doubles?: number
  readonly body: Code
}

/** Compiles functions to a module; `instantiate` gives them a memory. */
export const assemble = (functions: readonly WasmFunction[]): object => {
  const bytes: Code = [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      vector(functions.map((f) => [FUNCTION, ...vector(new Array<Code>(f.parameters).fill([I32])), 0])),
    ),
    ...section(2, vector([[...text('env'), ...text('memory'), 2, 0, 1]])),
    ...section(3, vector(functions.map((_, i) => unsigned(i)))),
    ...section(7, vector(functions.map((f, i) => [...text(f.name), 0, ...unsigned(i)]))),
    ...section(
      10,
      vector(
        functions.map((f) => {
          const locals = vector([
            [...unsigned(f.integers), I32],
            [...unsigned(f.pairs), V128],
            [...unsigned(f.doubles ?? 0), F64],
          ])
          const body = [...locals, ...f.body, 0x0b]
          return [...unsigned(body.length), ...body]
        }),
      ),
    ),
  ]
  return new WebAssembly.Module(Uint8Array.from(bytes))
}

export const instantiate = (module: object, memory: WasmMemory): unknown =>
  new WebAssembly.Instance(module, { env: { memory } }).exports
