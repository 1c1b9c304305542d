/**
 * Policies as data: what is written to the topic `policies`, hashed and applied. The canonical JSON of a definition is the definition;
 * two definitions with the same `stateHash` share a state, since only the part that gives the state its meaning goes into it.
 */
import { createHash } from 'node:crypto'
import { MillraceError } from '../../../schemas/errors.ts'
import { type FeaturesDefinition, featureDimension, featureParts } from '../../streams/featurize.ts'
import type { Policy } from '../policy.ts'
import { type AlgorithmDefinition, algorithmState, createAlgorithm } from './algorithms.ts'
import { partsOf } from './split.ts'

export type * from './algorithms.ts'

/** What a version of a policy is. */
export interface PolicyDefinitionBody {
  readonly algorithm: AlgorithmDefinition
  readonly features: FeaturesDefinition
  /** Share of decisions spread evenly over all arms; default 0.01. */
  readonly explorationFloor?: number
  /** Parts that the state is folded in; one where absent. */
  readonly partitions?: number
  /** Of a split policy: outcomes of each part between two merges; default 100. */
  readonly mergeEvery?: number
}

/** A policy without experience. @throws MillraceError INVALID_CONFIG naming the path */
export const createPolicy = (definition: PolicyDefinitionBody): Policy => {
  const { algorithm, features, explorationFloor } = definition
  const counts = { partitions: partsOf(definition), mergeEvery: mergeEveryOf(definition) }
  for (const [name, value] of Object.entries(counts)) {
    if (Number.isSafeInteger(value) && value >= 1) continue
    throw new MillraceError('INVALID_CONFIG', `${name}: ${String(value)} is not a whole number from 1`)
  }
  const dimension = featureDimension(features)
  return createAlgorithm(algorithm, {
    dimension,
    ...(explorationFloor === undefined ? {} : { explorationFloor }),
  })
}

/** Of a split policy: outcomes of each part between two merges. */
export const mergeEveryOf = ({ mergeEvery = 100 }: PolicyDefinitionBody): number => mergeEvery

/**
 * The part of a definition that gives the state its meaning: the algorithm with what it learns by, the features, and how it is split, if it is. Exploration is
 * left out: changing it keeps the state.
 */
export const statePart = (definition: PolicyDefinitionBody): unknown => {
  const { algorithm, features } = definition
  const { context = null, arm = null, interactions = false, bias = false } = featureParts(features)
  return {
    algorithm: algorithmState(algorithm),
    features: { context, arm, interactions, bias },
    ...(partsOf(definition) === 1
      ? {}
      : { split: { partitions: partsOf(definition), mergeEvery: mergeEveryOf(definition) } }),
  }
}

/**
 * JSON with sorted keys and no white space; members that are undefined are left out. Equal values give equal text.
 * @throws MillraceError INVALID_CONFIG for what JSON cannot say (NaN, infinities, functions), naming its path
 */
export const canonicalJson = (value: unknown, path = '$'): string => {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value)
  if (Array.isArray(value))
    return `[${value.map((item, i) => canonicalJson(item, `${path}[${i}]`)).join(',')}]`
  if (typeof value !== 'object') {
    throw new MillraceError('INVALID_CONFIG', `${path}: ${String(value)} cannot be written as JSON`)
  }
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member, `${path}.${key}`)}`)
  return `{${members.join(',')}}`
}

/** SHA-256 of a text's UTF-8 bytes, hex. */
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Hash of a definition: SHA-256 of its canonical JSON, hex. */
export const definitionHash = (definition: PolicyDefinitionBody): string => sha256(canonicalJson(definition))

/** Hash of what gives its state meaning; equal hashes share a state. */
export const stateHash = (definition: PolicyDefinitionBody): string =>
  sha256(canonicalJson(statePart(definition)))
