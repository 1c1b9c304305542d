/** What a folder of reference vectors holds, and how a case is held against them. */

/** A case as its folder's index states it. */
export interface ReferenceCase {
  /** The set it belongs to: the index's, else the folder's name. */
  readonly set: string
  readonly name: string
  readonly config: Readonly<Record<string, unknown>>
  readonly tolerance: unknown
  /** Where its files lie. */
  readonly folder: string
  /** Every file the case names, in the order of the index: `.json` parsed, `.npy` as typed arrays, others as their path. */
  readonly files: readonly unknown[]
}

/** Runs one case against millrace. Throws where its files are not what its kind needs. */
export type CaseKind = (reference: ReferenceCase, comparison: Comparison) => void | Promise<void>

/** Gathers what a case compares: the largest error of each quantity, in units of its tolerance. Above 1, or anything missing, fails. */
export class Comparison {
  readonly #tolerance: unknown
  readonly #errors = new Map<string, number>()
  readonly #reasons: string[] = []

  constructor(tolerance: unknown) {
    this.#tolerance = tolerance
  }

  /** The largest error over its tolerance. */
  get error(): number {
    return Math.max(0, ...this.#errors.values())
  }

  /** Errors by quantity. */
  get errors(): ReadonlyMap<string, number> {
    return this.#errors
  }

  get reasons(): readonly string[] {
    return this.#reasons
  }

  get passed(): boolean {
    return this.#reasons.length === 0 && this.#errors.size > 0 && this.error <= 1
  }

  /** Notes something that is wrong whatever the numbers. */
  fail(reason: string): void {
    this.#reasons.push(reason)
  }

  /**
   * Compares numbers, element by element.
   * @param quantity its name in the index's tolerances; the tolerance of `fallback` holds where it has none of its own
   * @param where which part of the case, for the message
   */
  numbers(
    quantity: string,
    found: ArrayLike<number>,
    expected: unknown,
    where = '',
    fallback = quantity,
  ): void {
    const place = where === '' ? quantity : `${where}.${quantity}`
    const tolerance = this.#toleranceOf(quantity) ?? this.#toleranceOf(fallback)
    const wanted: unknown = typeof expected === 'number' ? [expected] : expected
    if (tolerance === undefined) this.fail(`${place}: the index gives no tolerance`)
    else if (!Array.isArray(wanted) || wanted.length === 0) this.fail(`${place}: the reference is missing`)
    else if (wanted.length !== found.length) {
      this.fail(`${place}: ${found.length} numbers, the reference has ${wanted.length}`)
    } else this.#compare(quantity, place, tolerance, found, wanted)
  }

  /** Compares two numbers under a tolerance that follows from them, not from the index. */
  within(quantity: string, where: string, found: number, expected: number, tolerance: number): void {
    const error = found === expected ? 0 : Math.abs(found - expected) / tolerance
    if (!(error <= 1)) this.fail(`${where}.${quantity}: ${found}, not within ${tolerance} of ${expected}`)
    this.#errors.set(quantity, Math.max(this.#errors.get(quantity) ?? 0, error))
  }

  #compare(
    quantity: string,
    place: string,
    tolerance: number,
    found: ArrayLike<number>,
    wanted: readonly unknown[],
  ): void {
    let largest = 0
    for (let i = 0; i < wanted.length; i++) {
      const want = wanted[i]
      const have = found[i]
      if (!isFiniteNumber(want) || !isFiniteNumber(have)) {
        this.fail(`${place}[${i}]: ${String(have)} against ${String(want)}, not both finite`)
        return
      }
      const difference = Math.abs(have - want)
      const error = difference === 0 ? 0 : difference / tolerance
      if (error > 1 && largest <= 1) this.fail(`${place}[${i}]: ${have}, not ${want}`)
      largest = Math.max(largest, error)
    }
    this.#errors.set(quantity, Math.max(this.#errors.get(quantity) ?? 0, largest))
  }

  /** Notes as missing every quantity that has a tolerance and was not compared. */
  close(): void {
    if (!isRecord(this.#tolerance)) return
    for (const quantity of Object.keys(this.#tolerance)) {
      if (!this.#errors.has(quantity)) this.fail(`${quantity}: nothing was compared`)
    }
  }

  #toleranceOf(quantity: string): number | undefined {
    const whole = this.#tolerance
    const value = isRecord(whole) ? whole[quantity] : whole
    if (value === 'exact') return 0
    return isFiniteNumber(value) && value >= 0 ? value : undefined
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const isFiniteNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value)

/** A number of a record. @throws Error where it is missing or not finite */
export const numberAt = (
  record: Readonly<Record<string, unknown>>,
  key: string,
  fallback?: number,
): number => {
  const value = record[key] ?? fallback
  if (!isFiniteNumber(value)) throw new Error(`'${key}' is ${String(value)}, not a finite number`)
  return value
}

/** A list of finite numbers. @throws Error where it is anything else, or of another length */
export const numbersAt = (
  record: Readonly<Record<string, unknown>>,
  key: string,
  length: number,
): Float64Array => {
  const value = record[key]
  if (!Array.isArray(value) || !value.every(isFiniteNumber)) {
    throw new Error(`'${key}' is not a list of finite numbers`)
  }
  if (value.length !== length) throw new Error(`'${key}' has ${value.length} numbers, ${length} are expected`)
  return Float64Array.from(value)
}

/** The file among a case's that has all the given members. @throws Error where none has */
export const fileWith = (
  { files }: ReferenceCase,
  ...members: readonly string[]
): Readonly<Record<string, unknown>> => {
  const found = files.filter(isRecord).find((file) => members.every((member) => member in file))
  if (found === undefined)
    throw new Error(`no file of the case has ${members.map((m) => `'${m}'`).join(', ')}`)
  return found
}
