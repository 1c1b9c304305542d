/**
 * The other way: from an event to the user's message. Each field is named by its place in the output (`auction.winner`), and takes a
 * path into the event, `{path, unit, as, default}` or `{value}`.
 */
import {
  at,
  compileField,
  complain,
  isBlock,
  type Kind,
  type Place,
  type Reader,
  type Refuse,
  type Unit,
} from './mapping-field.ts'
import { numberKind, textKind } from './mapping-kind.ts'
import { parsePath } from './mapping-path.ts'

interface Branch {
  readonly children: Map<string, Branch | Reader<unknown>>
}

/** Any value of the event; with a unit, a time in milliseconds turned into it. */
const outputKind: Kind<unknown> = {
  units: ['s', 'ms', 'us', 'iso'],
  conversions: ['number', 'string'],
  read: (value, reading, refuse) => {
    if (value === undefined) return refuse('there', value)
    if (value === null) return null
    if (reading.unit !== undefined && typeof value !== 'string') return inUnit(value, reading.unit, refuse)
    if (reading.as === 'string')
      return typeof value === 'number' ? String(value) : textKind.read(value, reading, refuse)
    if (reading.as === 'number' || typeof value === 'bigint') return numberKind.read(value, reading, refuse)
    return value
  },
}

const inUnit = (value: unknown, unit: Unit, refuse: Refuse): number | string => {
  const milliseconds = numberKind.read(value, {}, refuse)
  if (unit === 's') return milliseconds / 1000
  if (unit === 'us') return milliseconds * 1000
  if (unit === 'ms') return milliseconds
  const date = new Date(milliseconds)
  return Number.isNaN(date.getTime()) ? refuse('a time', value) : date.toISOString()
}

/** Refuses a path that begins with a field the event does not have. */
export const knownField = (declared: unknown, fields: readonly string[], place: Place): void => {
  const path = isBlock(declared) ? declared['path'] : declared
  const first = typeof path === 'string' ? parsePath(path)?.[0] : undefined
  if (first !== undefined && !fields.includes(String(first)))
    complain(place, `the event has no ${first}: it has ${fields.join(', ')}`)
}

/** Compiles a sink's fields to a function that builds its message. */
export const compileOutput = (
  fields: Readonly<Record<string, unknown>>,
  known: readonly string[],
  place: Place,
): Reader<Record<string, unknown>> => {
  const root: Branch = { children: new Map() }
  if (Object.keys(fields).length === 0) complain(place, 'must have at least one field')
  for (const [target, declared] of Object.entries(fields)) {
    const here = at(place, target)
    knownField(declared, known, here)
    const reader = compileField(declared, outputKind, here)
    const steps = parsePath(target.startsWith('[') ? `$${target}` : `$.${target}`)
    if (steps?.every((step) => typeof step === 'string') !== true || steps.includes('__proto__'))
      complain(
        here,
        "must be named by its place in the output, such as auction.winner or auction['the winner']",
      )
    else if (!plant(root, steps, reader)) complain(here, 'lies inside another field, or holds one')
  }
  return builder(root)
}

const plant = (root: Branch, steps: readonly string[], reader: Reader<unknown>): boolean => {
  let branch = root
  for (const step of steps.slice(0, -1)) {
    const child = branch.children.get(step) ?? { children: new Map() }
    if (typeof child === 'function') return false
    branch.children.set(step, child)
    branch = child
  }
  const last = steps.at(-1) as string
  if (branch.children.has(last)) return false
  branch.children.set(last, reader)
  return true
}

const builder = ({ children }: Branch): Reader<Record<string, unknown>> => {
  const parts = [...children].map(
    ([name, child]) => [name, typeof child === 'function' ? child : builder(child)] as const,
  )
  return (event) => {
    const output: Record<string, unknown> = {}
    for (const [name, read] of parts) output[name] = read(event)
    return output
  }
}
