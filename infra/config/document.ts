/**
 * A YAML file as plain values, with the line of every key and `${NAME}` filled in from the environment. Strict: repeated keys,
 * unknown tags, several documents and expansion beyond 100,000 values are problems. Parser messages are cut before they
 * quote the file, which may hold a secret.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import { type Path, type Problem, pathText } from './problem.ts'

export interface ReadDocument {
  readonly value: unknown
  readonly lines: ReadonlyMap<string, number>
  readonly templates: ReadonlyMap<string, string>
  readonly problems: readonly Problem[]
}

type Environment = Readonly<Record<string, string | undefined>>

const VALUES_MAX = 100_000
const DEPTH_MAX = 64
const REFERENCE = /\$(\$?)\{([^}]*)\}?/g
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s

/**
 * Fills in `${NAME}` and `${NAME:-default}` (the default also where the variable is empty); `$${` stands for `${`.
 * Undefined where nothing was to be filled in. What cannot be filled in is told to `refuse`.
 */
export const interpolate = (
  text: string,
  env: Environment,
  refuse: (message: string) => void,
): string | undefined => {
  if (!text.includes('${')) return undefined
  return text.replace(REFERENCE, (whole, escaped: string, body: string) => {
    if (escaped !== '') return whole.slice(1)
    const match = whole.endsWith('}') ? VARIABLE.exec(body) : null
    if (match === null) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it explains the notation.
      refuse('holds "${" that is neither ${NAME} nor ${NAME:-default} (write $${ for a literal one)')
      return ''
    }
    const [, name, fallback] = match
    const given = env[name as string]
    if (given !== undefined && (given !== '' || fallback === undefined)) return given
    if (fallback === undefined)
      refuse(`environment variable ${name} is not set (\${${name}:-default} gives it a default)`)
    return fallback ?? ''
  })
}

/** Reads one YAML document. Never throws: what is wrong is in `problems`. */
export const readDocument = (text: string, env: Environment): ReadDocument => {
  const counter = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    uniqueKeys: true,
    stringKeys: true,
  })
  const lines = new Map<string, number>()
  const templates = new Map<string, string>()
  const problems: Problem[] = [...document.errors, ...document.warnings].map(({ message, pos }) => ({
    path: [],
    message: `line ${counter.linePos(pos[0]).line}: ${message.split(/[:"'`!&*]/)[0]?.trim()}`,
  }))
  if (problems.length > 0) return { value: {}, lines, templates, problems }

  let values = 0
  const plain = (node: unknown, path: Path): unknown => {
    const refuse = (message: string): undefined => {
      problems.push({ path, message })
      return undefined
    }
    if (++values > VALUES_MAX) {
      if (values === VALUES_MAX + 1)
        problems.push({ path: [], message: `has more than ${VALUES_MAX} values` })
      return undefined
    }
    if (path.length > DEPTH_MAX) return refuse(`is nested deeper than ${DEPTH_MAX}`)
    note(node, path)
    if (isAlias(node)) return plain(node.resolve(document as Document), path)
    if (isSeq(node)) return node.items.map((item, index) => plain(item, [...path, index]))
    if (isMap(node)) {
      const result: Record<string, unknown> = {}
      for (const { key, value } of node.items) {
        const name = isScalar(key) ? String(key.value) : String(key)
        const inner = [...path, name]
        note(key, inner)
        if (name === '__proto__') problems.push({ path: inner, message: 'unknown key' })
        else result[name] = plain(value, inner)
      }
      return result
    }
    const value = isScalar(node) ? node.value : null
    if (typeof value !== 'string') return typeof value === 'bigint' ? Number(value) : value
    const filled = interpolate(value, env, refuse)
    if (filled === undefined) return value
    templates.set(pathText(path), value)
    return filled
  }
  const note = (node: unknown, path: Path): void => {
    const start = (node as Node | null)?.range?.[0]
    const text = pathText(path)
    if (start !== undefined && !lines.has(text)) lines.set(text, counter.linePos(start).line)
  }
  const value = document.contents === null ? {} : plain(document.contents, [])
  return { value, lines, templates, problems }
}
