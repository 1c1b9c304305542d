/**
 * The path language of mappings: `$` is the message (inside `each`, the element), `.name` a key, `['any key']` a key that is no plain
 * name, `[0]` an element. Nothing else: no wildcards, filters or functions. Only own properties are seen, so that a message cannot
 * reach what JavaScript hangs on every object. Cost: one own-property look-up a step, nothing allocated.
 */
export type Step = string | number
export type MappingPath = readonly Step[]

const STEP = /\.([A-Za-z_][\w-]*)|\[(\d{1,9})\]|\['((?:[^'\\]|\\['\\])+)'\]|\["((?:[^"\\]|\\["\\])+)"\]/y

/** The steps of a path; undefined where the text is none. */
export const parsePath = (text: string): MappingPath | undefined => {
  if (!text.startsWith('$')) return undefined
  const steps: Step[] = []
  let at = 1
  while (at < text.length) {
    STEP.lastIndex = at
    const match = STEP.exec(text)
    if (match === null) return undefined
    const [whole, name, index, single, double] = match
    steps.push(
      index === undefined
        ? (name ?? (single ?? (double as string)).replace(/\\(['"\\])/g, '$1'))
        : Number(index),
    )
    at += whole.length
  }
  return steps
}

/** The value at a path; undefined where there is none. */
export const readPath = (root: unknown, path: MappingPath): unknown => {
  let value = root
  for (let step = 0; step < path.length; step++) {
    const key = path[step] as Step
    if (typeof value !== 'object' || value === null) return undefined
    if (Array.isArray(value) !== (typeof key === 'number') || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<Step, unknown>)[key]
  }
  return value
}
