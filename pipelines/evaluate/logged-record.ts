/** A step of a log that lies in a file, and the line of JSON that holds one. */
import type { LoggedRequest, LoggedStep } from '../../operators/bandits/index.ts'
import type { Features } from '../../operators/streams/featurize.ts'
import { MillraceError } from '../../schemas/errors.ts'

export interface LoggedRecord {
  readonly request: LoggedRequest
  readonly logged: LoggedStep
  /** Probabilities that another program's policy gives the arms, and rewards that its model predicts of them. */
  readonly target: readonly number[] | null
  readonly predictions: readonly number[] | null
}

/**
 * One line: `{"context": …, "arms": […], "action": "…", "propensity": …, "reward": …}`, and where there are `requestId`, `probabilities`, `target`, `predictions`.
 * An arm is its id, or `{"id": …, "features": …}`; features are lists or objects of numbers.
 * @param requestId what the step is called if the line does not say
 * @throws MillraceError MALFORMED_JSON; INVALID_PROPENSITY where there is no propensity; INVALID_EVENT for all else that is missing or of the wrong form
 */
export const recordOf = (line: string, requestId: string): LoggedRecord => {
  const value = parse(line)
  const arms = list(value, 'arms').map((arm, i) => armOf(arm, `arms[${i}]`))
  const { action, propensity, reward } = value
  if (typeof action !== 'string') throw invalid('action', 'the id of an arm')
  if (typeof propensity !== 'number')
    throw new MillraceError('INVALID_PROPENSITY', `propensity: ${JSON.stringify(propensity)} is no number`)
  if (typeof reward !== 'number') throw invalid('reward', 'a number')
  const name = value['requestId'] ?? requestId
  if (typeof name !== 'string') throw invalid('requestId', 'a text')
  const ids = arms.map(({ id }) => id)
  return {
    request: { requestId: name, context: features(value['context'], 'context'), arms },
    logged: { arms: ids, arm: action, propensity, reward, probabilities: numbers(value, 'probabilities') },
    target: numbers(value, 'target', ids.length),
    predictions: numbers(value, 'predictions', ids.length),
  }
}

type Json = Readonly<Record<string, unknown>>

const parse = (line: string): Json => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new MillraceError('MALFORMED_JSON', (error as Error).message)
  }
  if (isObject(value)) return value
  throw new MillraceError('INVALID_EVENT', 'a line is no object')
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const invalid = (path: string, wanted: string): MillraceError =>
  new MillraceError('INVALID_EVENT', `${path}: ${wanted} is expected`)

const list = (value: Json, key: string): readonly unknown[] => {
  const found = value[key]
  if (!Array.isArray(found)) throw invalid(key, 'a list')
  return found
}

const numbers = (value: Json, key: string, length?: number): readonly number[] | null => {
  const found = value[key]
  if (found === undefined || found === null) return null
  if (!Array.isArray(found) || !found.every((each) => typeof each === 'number'))
    throw invalid(key, 'a list of numbers')
  if (length !== undefined && found.length !== length) throw invalid(key, `a number an arm, ${length},`)
  return found
}

const armOf = (value: unknown, path: string): LoggedRequest['arms'][number] => {
  if (typeof value === 'string') return { id: value, features: null }
  if (!isObject(value) || typeof value['id'] !== 'string')
    throw invalid(path, 'an id, or an object with one,')
  return { id: value['id'], features: features(value['features'], `${path}.features`) }
}

const features = (value: unknown, path: string): Features => {
  if (value === undefined || value === null) return null
  const parts = Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [null]
  if (!parts.every((part) => typeof part === 'number')) throw invalid(path, 'a list or an object of numbers')
  return value as Features
}
