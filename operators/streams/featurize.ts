/**
 * Features to vectors: what a request says about its context and its arms becomes one row of numbers an arm.
 *
 *   [ context | arm | context ⊗ arm | 1 ]        parts that are not defined are left out
 *
 * A part is dense (an array of exactly n numbers), named (an object; each declared name has its position, names not given are 0) or hashed (an object of any
 * names, each added with its sign to one of 2^bits positions: Weinberger et al. 2009, "Feature hashing for large scale multitask learning"). Interactions are the outer product of the two
 * parts, row by row of the context. Without arm features every row is the same.
 *
 * Promises: the vectors are a function of the request alone, not of the order of its names; a request that is refused leaves nothing behind. Cost:
 * linear in the numbers written; the buffer is reused and grows only.
 */
import { MillraceError } from '../../schemas/errors.ts'
import { hashName } from '../numerics/hash-name.ts'

/** What a part of the vector is made from. */
export type FeatureSpace =
  | { readonly dense: number }
  | { readonly names: readonly string[] }
  | { readonly hash: { readonly bits: number; readonly seed?: number } }

export interface FeatureParts {
  /** Features of the situation; where absent, a request must bring none. */
  readonly context?: FeatureSpace
  /** Features of the arms; where absent, arms must bring none. */
  readonly arm?: FeatureSpace
  /** Append the products of every context feature with every arm feature. Needs both parts. */
  readonly interactions?: boolean
  /** Append a constant 1. */
  readonly bias?: boolean
  /** Pass over names that are not declared, and parts that are not defined, instead of refusing them. */
  readonly ignoreUnknown?: boolean
}

/** A space alone is short for that of the context. */
export type FeaturesDefinition = FeatureSpace | FeatureParts

/** Features as events bring them. */
export type Features = readonly number[] | Readonly<Record<string, number>> | null

/** The part of a decision request that is read here. */
export interface FeatureRequest {
  readonly context: Features
  readonly arms: readonly { readonly id: string; readonly features: Features }[]
}

/** The rows of one request. */
export interface FeaturizedArms {
  /** The arms' ids, in the order of the request; a new array each time. */
  readonly arms: readonly string[]
  /** arms.length × dimension numbers, row-major; overwritten by the next call. */
  readonly vectors: Float64Array
  /** Whether all rows are equal: arms have no features here. */
  readonly oneVector: boolean
}

export interface Featurizer {
  /**
   * @throws MillraceError EMPTY_ARMS, DUPLICATE_ARM, WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_EVENT (features missing, of the wrong
   * form, or with an undeclared name), naming the place: `context.age`, `arms[3].features[0]`
   */
  (request: FeatureRequest): FeaturizedArms
  /** Length of a row. */
  readonly dimension: number
}

/** The definition written out, without what it leaves at its default: equal meanings give equal objects. */
export const featureParts = (definition: FeaturesDefinition): FeatureParts =>
  'dense' in definition || 'names' in definition || 'hash' in definition
    ? { context: definition }
    : definition

/** Length of the vectors a definition makes. @throws MillraceError INVALID_CONFIG */
export const featureDimension = (definition: FeaturesDefinition): number => layout(definition).dimension

/** A featurizer with its own buffers: use one at a time. @throws MillraceError INVALID_CONFIG */
export const createFeaturizer = (definition: FeaturesDefinition): Featurizer => {
  const { context, arm, contextSize, armSize, interactions, bias, dimension, ignoreUnknown } =
    layout(definition)
  const writeContext = writer(context, ignoreUnknown)
  const writeArm = writer(arm, ignoreUnknown)
  let buffer = new Float64Array(16 * dimension)
  /** The beginning of the buffer for each number of arms. */
  let views: Float64Array[] = []

  const view = (count: number): Float64Array => {
    if (count * dimension > buffer.length) {
      buffer = new Float64Array(2 * count * dimension)
      views = []
    }
    views[count] ??= buffer.subarray(0, count * dimension)
    return views[count]
  }

  const featurize = (request: FeatureRequest): FeaturizedArms => {
    const count = request.arms.length
    if (count === 0) throw new MillraceError('EMPTY_ARMS', 'arms: the request names none')
    const arms = new Array<string>(count)
    for (let a = 0; a < count; a++) arms[a] = request.arms[a]!.id
    const twice = count <= FEW_ARMS ? repeatedAmongFew(arms) : repeatedAmongMany(arms)
    if (twice >= 0)
      throw new MillraceError('DUPLICATE_ARM', `arms[${twice}]: '${arms[twice]}' is named twice`)
    const vectors = view(count)
    vectors.fill(0, 0, dimension)
    writeContext(request.context, vectors, 0, 'context')
    if (bias) vectors[dimension - 1] = 1
    // All rows begin as the first: the part copied doubles each time.
    for (let done = 1; done < count; done *= 2) {
      vectors.copyWithin(done * dimension, 0, Math.min(done, count - done) * dimension)
    }
    for (let a = 0; a < count; a++) {
      const row = a * dimension
      writeArm(request.arms[a]!.features, vectors, row + contextSize, 'arms', a)
      if (!interactions) continue
      let k = row + contextSize + armSize
      for (let i = 0; i < contextSize; i++) {
        for (let j = 0; j < armSize; j++) vectors[k++] = vectors[row + i]! * vectors[row + contextSize + j]!
      }
    }
    return { arms, vectors, oneVector: armSize === 0 }
  }
  return Object.assign(featurize, { dimension })
}

/** Up to so many arms, comparing all pairs beats filling a set. */
const FEW_ARMS = 16

/** Index of the first arm that was named before, or -1. */
const repeatedAmongFew = (arms: readonly string[]): number => {
  for (let a = 1; a < arms.length; a++) {
    const id = arms[a]
    for (let b = 0; b < a; b++) if (arms[b] === id) return a
  }
  return -1
}

const repeatedAmongMany = (arms: readonly string[]): number => {
  if (new Set(arms).size === arms.length) return -1
  return arms.findIndex((id, a) => arms.indexOf(id) < a)
}

const layout = (definition: FeaturesDefinition) => {
  const { context, arm, interactions = false, bias = false, ignoreUnknown = false } = featureParts(definition)
  const contextSize = spaceSize(context, 'features.context')
  const armSize = spaceSize(arm, 'features.arm')
  if (interactions && (contextSize === 0 || armSize === 0)) {
    throw new MillraceError('INVALID_CONFIG', 'features.interactions: needs both a context and an arm part')
  }
  const dimension = contextSize + armSize + (interactions ? contextSize * armSize : 0) + (bias ? 1 : 0)
  if (dimension === 0) throw new MillraceError('INVALID_CONFIG', 'features: no part is defined')
  return { context, arm, contextSize, armSize, interactions, bias, dimension, ignoreUnknown }
}

const spaceSize = (space: FeatureSpace | undefined, path: string): number => {
  if (space === undefined) return 0
  const refuse = (rule: string): never => {
    throw new MillraceError('INVALID_CONFIG', `${path}: ${rule}`)
  }
  if ('dense' in space) {
    return Number.isSafeInteger(space.dense) && space.dense > 0
      ? space.dense
      : refuse('dense is a whole number from 1')
  }
  if ('names' in space) {
    if (new Set(space.names).size < space.names.length) refuse('names: one is declared twice')
    return space.names.length > 0 ? space.names.length : refuse('names: at least one')
  }
  const { bits } = space.hash
  return Number.isInteger(bits) && bits >= 1 && bits <= 24
    ? 2 ** bits
    : refuse('hash.bits is a whole number from 1 to 24')
}

/** Writes the features of one place, `place` or `place[index].features`, at `start`; the numbers there are 0 before. */
type Writer = (features: Features, into: Float64Array, start: number, place: string, index?: number) => void

const writer = (space: FeatureSpace | undefined, ignoreUnknown: boolean): Writer => {
  if (space === undefined) return ignoreUnknown ? () => {} : writeNone
  if ('dense' in space) return denseWriter(space.dense)
  if ('names' in space) return namesWriter(space.names, ignoreUnknown)
  return hashWriter(space.hash.bits, space.hash.seed ?? 0)
}

const at = (place: string, index: number | undefined): string =>
  index === undefined ? place : `${place}[${index}].features`

const writeNone: Writer = (features, _into, _start, place, index) => {
  if (features !== null) {
    throw new MillraceError('INVALID_EVENT', `${at(place, index)}: the policy defines no features here`)
  }
}

const denseWriter =
  (size: number): Writer =>
  (features, into, start, place, index) => {
    if (!Array.isArray(features)) {
      throw new MillraceError('INVALID_EVENT', `${at(place, index)}: an array of ${size} numbers is expected`)
    }
    if (features.length !== size) {
      throw new MillraceError(
        'WRONG_DIMENSION',
        `${at(place, index)}: ${features.length} numbers, ${size} are expected`,
      )
    }
    for (let i = 0; i < size; i++) {
      const value = features[i] as number
      if (!Number.isFinite(value)) refuseNumber(value, `${at(place, index)}[${i}]`)
      into[start + i] = value
    }
  }

const namesWriter = (names: readonly string[], ignoreUnknown: boolean): Writer => {
  const positions = new Map(names.map((name, position) => [name, position]))
  return (features, into, start, place, index) => {
    const named = requireNamed(features, place, index)
    for (const name of Object.keys(named)) {
      const value = named[name]!
      if (!Number.isFinite(value)) refuseNumber(value, `${at(place, index)}.${name}`)
      const position = positions.get(name)
      if (position !== undefined) into[start + position] = value
      else if (!ignoreUnknown) {
        throw new MillraceError(
          'INVALID_EVENT',
          `${at(place, index)}.${name}: no feature of this name is declared`,
        )
      }
    }
  }
}

const hashWriter =
  (bits: number, seed: number): Writer =>
  (features, into, start, place, index) => {
    const named = requireNamed(features, place, index)
    // In the order of the names, since colliding features are added and floating-point sums depend on their order.
    for (const name of Object.keys(named).sort()) {
      const value = named[name]!
      if (!Number.isFinite(value)) refuseNumber(value, `${at(place, index)}.${name}`)
      const hash = hashName(name, seed)
      const k = start + (hash & (2 ** bits - 1))
      into[k] = into[k]! + (hash >>> 31 === 0 ? value : -value)
    }
  }

const requireNamed = (
  features: Features,
  place: string,
  index: number | undefined,
): Readonly<Record<string, number>> => {
  if (features === null || Array.isArray(features)) {
    throw new MillraceError('INVALID_EVENT', `${at(place, index)}: named numbers are expected`)
  }
  return features as Readonly<Record<string, number>>
}

const refuseNumber = (value: number, path: string): never => {
  throw new MillraceError('NON_FINITE_NUMBER', `${path}: ${value} is not a finite number`)
}
