/**
 * Runs the cases of a folder of reference vectors: `index.json` names the cases, their settings, files and tolerances, and may name
 * sub-folders that have an index each. Nothing is known here of any particular folder.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { readArray } from '../xmc-golden.ts'
import { verifyAttackRewards } from './attack-rewards.ts'
import { type CaseKind, Comparison, isRecord, type ReferenceCase } from './case.ts'
import { verifyClustering } from './clustering.ts'
import { verifyExp3 } from './exp3.ts'
import { verifyInference } from './inference.ts'
import { verifyLinTs } from './lints.ts'
import { verifyLinUcb } from './linucb.ts'
import { verifyPartitioner } from './murmur2-partition.ts'
import { verifyOffPolicy } from './ope.ts'
import { verifyOverlap } from './overlap.ts'
import { verifyPifa } from './pifa.ts'
import { verifyRobust } from './robust.ts'
import { verifyTableAttack, verifyTableRegret } from './tables.ts'
import { verifyTheoreticalAlpha } from './theory-alpha.ts'
import { verifyBinary, verifyTrainDefault, verifyTrainTight } from './training.ts'
import { verifyTuning } from './tuning.ts'
import { verifyUcbGlm } from './ucb-glm.ts'

/** The kinds that can be run. */
export const KINDS: Readonly<Record<string, CaseKind>> = {
  'attack-rewards': verifyAttackRewards,
  binary: verifyBinary,
  clustering: verifyClustering,
  inference: verifyInference,
  lints: verifyLinTs,
  exp3: verifyExp3,
  linucb: verifyLinUcb,
  ope: verifyOffPolicy,
  overlap: verifyOverlap,
  pifa: verifyPifa,
  'robust-bandit': verifyRobust,
  'tl-syndicated-linucb': verifyTuning,
  'table-attack': verifyTableAttack,
  'table-regret': verifyTableRegret,
  'theory-alpha': verifyTheoreticalAlpha,
  'train-default': verifyTrainDefault,
  'train-tight': verifyTrainTight,
  'ucb-glm': verifyUcbGlm,
  'murmur2-partition': verifyPartitioner,
}

export interface CaseResult {
  readonly set: string
  readonly name: string
  readonly passed: boolean
  /** Largest error over its tolerance; infinite where the case could not be run. */
  readonly error: number
  readonly details: string
}

/** The longest name in `kinds` that is `name` or a prefix of it followed by `-`. */
export const kindOf = (name: string, kinds: readonly string[]): string | undefined =>
  kinds
    .filter((kind) => name === kind || name.startsWith(`${kind}-`))
    .sort((a, b) => b.length - a.length)
    .at(0)

/**
 * Runs every case, or those of the kinds in `only`. A case of a kind that is not registered fails, unless `only` leaves it out.
 * @returns a result a case; a folder that cannot be read, or has nothing to run, is a failed result too
 */
export const verifyFolder = async (folder: string, only: readonly string[] = []): Promise<CaseResult[]> => {
  const results: CaseResult[] = []
  const registered = Object.keys(KINDS)
  for (const found of casesOf(resolve(folder), [])) {
    if ('problem' in found) {
      results.push({ ...found, passed: false, error: Number.POSITIVE_INFINITY, details: found.problem })
      continue
    }
    const kind = kindOf(found.name, registered)
    // A kind asked for by name and not registered is looked for by the same rule, so that it fails instead of being left out.
    const wanted = only.length === 0 || only.includes(kind ?? kindOf(found.name, only) ?? '')
    if (wanted) results.push(await runCase(found, kind))
  }
  if (results.length > 0) return results
  const why = only.length === 0 ? 'it has no cases' : `it has no case of kind ${only.join(', ')}`
  return [{ ...problem(folder, why), passed: false, error: Number.POSITIVE_INFINITY, details: why }]
}

interface ListedCase {
  readonly set: string
  readonly name: string
  readonly folder: string
  readonly entry: Readonly<Record<string, unknown>>
}

interface Problem {
  readonly set: string
  readonly name: string
  readonly problem: string
}

const problem = (folder: string, why: string, set = basename(resolve(folder))): Problem => ({
  set,
  name: 'index',
  problem: why,
})

const casesOf = (folder: string, above: readonly string[]): (ListedCase | Problem)[] => {
  const index = join(folder, 'index.json')
  if (above.includes(folder)) return [problem(folder, 'its indexes name each other in a circle')]
  if (!existsSync(index)) {
    const folders = existsSync(folder) ? readdirSync(folder).sort() : []
    const indexed = folders
      .map((name) => join(folder, name))
      .filter((sub) => existsSync(join(sub, 'index.json')))
    if (indexed.length === 0) return [problem(folder, 'it has no index.json')]
    return indexed.flatMap((sub) => casesOf(sub, [...above, folder]))
  }
  let content: unknown
  try {
    content = JSON.parse(readFileSync(index, 'utf8'))
  } catch (error) {
    return [problem(folder, `index.json: ${String(error)}`)]
  }
  if (!isRecord(content)) return [problem(folder, 'index.json is not an object')]
  const set = typeof content['set'] === 'string' ? content['set'] : basename(folder)
  const { cases = [], folders = [] } = content
  if (!Array.isArray(cases) || !Array.isArray(folders)) {
    return [problem(folder, 'index.json: cases and folders must be lists', set)]
  }
  const own = cases.map((entry: unknown): ListedCase | Problem =>
    isRecord(entry) && typeof entry['name'] === 'string'
      ? { set, name: entry['name'], folder, entry }
      : problem(folder, 'index.json: a case has no name', set),
  )
  const below = folders.flatMap((entry: unknown): (ListedCase | Problem)[] => {
    const path = subFolder(entry)
    if (path === undefined) return [problem(folder, 'index.json: a sub-folder has no name', set)]
    return casesOf(join(folder, path), [...above, folder])
  })
  if (own.length + below.length === 0) return [problem(folder, 'it has no cases', set)]
  return [...own, ...below]
}

/** A sub-folder is named by a string, or by an object with the path of its `index` or its `name`. */
const subFolder = (entry: unknown): string | undefined => {
  if (typeof entry === 'string') return entry
  if (!isRecord(entry)) return undefined
  if (typeof entry['index'] === 'string') return dirname(entry['index'])
  return typeof entry['name'] === 'string' ? entry['name'] : undefined
}

const runCase = async (
  { set, name, folder, entry }: ListedCase,
  kind: string | undefined,
): Promise<CaseResult> => {
  const failed = (details: string): CaseResult => ({
    set,
    name,
    passed: false,
    error: Number.POSITIVE_INFINITY,
    details,
  })
  if (kind === undefined) return failed('unknown kind')
  const comparison = new Comparison(entry['tolerance'])
  try {
    const reference: ReferenceCase = {
      set,
      name,
      folder,
      config: isRecord(entry['config']) ? entry['config'] : {},
      tolerance: entry['tolerance'],
      files: readFiles(folder, entry['files']),
    }
    await KINDS[kind]!(reference, comparison)
    comparison.close()
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error))
  }
  const errors = [...comparison.errors].map(([quantity, error]) => `${quantity}=${shortNumber(error)}`)
  const details = [...errors, ...comparison.reasons].join(' ')
  const error =
    comparison.reasons.length > 0 && comparison.error <= 1 ? Number.POSITIVE_INFINITY : comparison.error
  return { set, name, passed: comparison.passed, error, details }
}

const readFiles = (folder: string, names: unknown): unknown[] => {
  if (!Array.isArray(names) || names.length === 0) throw new Error('the index names no files')
  return names.map((name: unknown) => {
    const path = join(folder, String(name))
    if (!existsSync(path) || !statSync(path).isFile()) throw new Error(`${String(name)} is missing`)
    if (path.endsWith('.npy')) return readArray(path)
    return path.endsWith('.json') ? (JSON.parse(readFileSync(path, 'utf8')) as unknown) : path
  })
}

const shortNumber = (value: number): string => (value === 0 ? '0' : value.toPrecision(3))

/** `PASS|FAIL <set>/<case> error=<largest error over its tolerance> …` */
export const resultLine = ({ set, name, passed, error, details }: CaseResult): string =>
  `${passed ? 'PASS' : 'FAIL'} ${set}/${name} error=${shortNumber(error)} ${details}`.trimEnd()
