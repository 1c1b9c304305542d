/**
 * The fields of a decision request that are more than one value: features (dense, named or taken as they are) and arms.
 */
import { MillraceError } from '../../schemas/errors.ts'
import type { Arm } from '../../schemas/generated/events.ts'
import {
  at,
  compileField,
  complain,
  declaredPath,
  fieldName,
  isBlock,
  type Kind,
  mappingFailed,
  onlyKeys,
  type Place,
  type Reader,
} from './mapping-field.ts'
import { categoryKind, type Features, featuresKind, numberKind, textKind } from './mapping-kind.ts'
import { readPath } from './mapping-path.ts'

/** Features: `{names: {age: $.user.age}}`, a list of declarations, or one declaration of a list or a block. */
export const compileFeatures = (declared: unknown, place: Place): Reader<Features> => {
  if (Array.isArray(declared)) {
    const readers = declared.map((entry, index) => compileField(entry, numberKind, at(place, index)))
    return (message) => readers.map((read) => read(message))
  }
  if (!isBlock(declared) || !Object.hasOwn(declared, 'names'))
    return compileField(declared, featuresKind, place)
  onlyKeys(declared, ['names'], place)
  const inner = at(place, 'names')
  const names = declared['names']
  if (!isBlock(names) || Object.keys(names).length === 0)
    complain(inner, 'must be a block of at least one name')
  const setters = Object.entries(isBlock(names) ? names : {}).map(([name, entry]) =>
    compileNamed(name, entry, at(inner, name)),
  )
  return (message) => {
    const named: Record<string, number> = {}
    for (const set of setters) set(message, named)
    return named
  }
}

/** A named number; a category `c` of name `n` becomes the feature `n=c` of value 1. */
const compileNamed = (
  name: string,
  declared: unknown,
  place: Place,
): ((message: unknown, named: Record<string, number>) => void) => {
  if (name === '__proto__') complain(place, 'cannot be a name')
  if (isBlock(declared) && declared['as'] === 'category') {
    const read = compileField(declared, categoryKind, place)
    return (message, named) => {
      named[`${name}=${read(message)}`] = 1
    }
  }
  const read = compileField(declared, numberKind, place)
  return (message, named) => {
    named[name] = read(message)
  }
}

/** Arms that are the same for every request: names, or `{id, features}`. */
const fixedArms: Kind<readonly Arm[]> = {
  read: (value, reading, refuse) => {
    if (!Array.isArray(value)) return refuse('a list of arms', value)
    return value.map((arm: unknown) => {
      if (typeof arm === 'string') return { id: arm, features: null }
      if (!isBlock(arm) || typeof arm['id'] !== 'string')
        return refuse('a list of names or of {id, features}', arm)
      const features = arm['features']
      return {
        id: arm['id'],
        features: features === undefined ? null : featuresKind.read(features, reading, refuse),
      }
    })
  },
}

/** Arms: `{each: $.candidates, id: $.sku, features: …}`, paths from the candidate, or `{value: […]}`. */
export const compileArms = (declared: unknown, place: Place): Reader<readonly Arm[]> => {
  if (isBlock(declared) && Object.hasOwn(declared, 'value')) return compileField(declared, fixedArms, place)
  if (!isBlock(declared) || !Object.hasOwn(declared, 'each')) {
    complain(place, 'must be {each: $.candidates, id: $.sku, features: …} or {value: […]}')
    return () => []
  }
  onlyKeys(declared, ['each', 'id', 'features'], place)
  const path = declaredPath(declared['each'], at(place, 'each'))
  const readId = compileField(declared['id'], textKind, at(place, 'id'))
  const readFeatures: Reader<Features | null> = Object.hasOwn(declared, 'features')
    ? compileFeatures(declared['features'], at(place, 'features'))
    : () => null
  const name = fieldName(place)
  return (message) => {
    const candidates = readPath(message, path)
    if (!Array.isArray(candidates)) throw mappingFailed(name, String(declared['each']), 'a list', candidates)
    return candidates.map((candidate: unknown, index) => {
      try {
        return { id: readId(candidate), features: readFeatures(candidate) }
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        throw new MillraceError(error.code, `candidate ${index}: ${error.message}`)
      }
    })
  }
}
