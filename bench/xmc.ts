/**
 * Extreme multi-label classification on WordNet (64,517 documents, 17,740 features, 5,273 labels), side by side with PECOS 1.2.8 in an environment of its own:
 * trees of branching 32 and leaves of at most 100 labels, squared hinge, beam 10, the 20 best labels. Training runs in a process of its own each time,
 * from documents in memory to the model, on one thread and on two; peak memory is that process's. Prediction takes one thread.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { BeamSearch, predictions } from '../operators/xmc/index.ts'
import { loadTagModel } from '../pipelines/xmc/model-folder.ts'
import { alternate, median, medianRatio, type Pairs, percentile } from './measure.ts'
import { type PythonPeers, startPython } from './peers/python.ts'
import type { BenchReport, BenchRow } from './report.ts'
import { readPart, WORDNET } from './xmc/wordnet.ts'

const execute = promisify(execFile)
const PEER = 'libpecos'
/** PECOS 1.2.8 wants these. */
const PECOS = {
  environment: 'bench-pecos',
  requirements: ['libpecos==1.2.8', 'numpy==1.26.4', 'scipy==1.11.4'],
}
const TOP = 20
const SINGLE = 4_000
/** Trainings of each side and number of threads. */
const TRAININGS = 3

/** What one training took. */
interface Trained {
  readonly seconds: number
  readonly peakBytes: number
  readonly modelBytes: number
  /** P@1, 3 and 5 of the test set. */
  readonly precision: readonly number[]
}

const program = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const trainOnce = async (command: string, args: readonly string[]): Promise<Trained> => {
  const { stdout } = await execute(command, args)
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Trained
}

/** Trainings in turns; every one begins cold, so there is nothing to warm up. */
const trainings = async (
  ours: () => Promise<Trained>,
  theirs: (() => Promise<Trained>) | undefined,
): Promise<Pairs<Trained>> => {
  const pairs = { ours: [] as Trained[], theirs: [] as Trained[] }
  for (let i = 0; i < TRAININGS; i++) {
    if (i % 2 === 0) pairs.ours.push(await ours())
    if (theirs !== undefined) pairs.theirs.push(await theirs())
    if (i % 2 === 1) pairs.ours.push(await ours())
  }
  return pairs
}

const MIB = 2 ** 20
const trainedRow = (who: string, version: string, threads: number, trained: readonly Trained[]): BenchRow => {
  const [p1 = 0, p3 = 0, p5 = 0] = trained[0]!.precision
  return {
    what: 'train',
    who,
    threads,
    seconds: median(trained.map(({ seconds }) => seconds)),
    peakMiB: median(trained.map(({ peakBytes }) => peakBytes)) / MIB,
    modelMiB: trained[0]!.modelBytes / MIB,
    p1,
    p3,
    p5,
    version,
  }
}

/** Milliseconds a query of the whole test set, and microseconds of a single one below which a share of them stays. */
const predictor = async (folder: string) => {
  const { X } = readPart('test')
  const { xmc } = await loadTagModel(folder)
  const search = new BeamSearch(xmc)
  const output = predictions(TOP)
  const queries = Array.from({ length: SINGLE }, (_, row) => ({
    indices: X.indices.slice(X.pointers[row]!, X.pointers[row + 1]!),
    values: X.values.slice(X.pointers[row]!, X.pointers[row + 1]!),
  }))
  const batch = (): number => {
    const start = performance.now()
    search.predictBatch(X, TOP)
    return (performance.now() - start) / X.rows
  }
  const single = (share: number): number => {
    const times = queries.map(({ indices, values }) => {
      const start = performance.now()
      search.predict(indices, values, TOP, output)
      return 1_000 * (performance.now() - start)
    })
    return percentile(times, share)
  }
  return { batch, single }
}

export const run = async (): Promise<BenchReport> => {
  const rows: BenchRow[] = []
  const ratios: Record<string, number> = {}
  const missing: { peer: string; why: string }[] = []
  const node = `node ${process.versions.node}`
  let python: PythonPeers | undefined
  try {
    python = await startPython('xmc.py', ['pecos'], PECOS)
  } catch (error) {
    missing.push({ peer: PEER, why: error instanceof Error ? error.message : String(error) })
  }
  const version = python?.versions[PEER] ?? ''
  const folder = await mkdtemp(join(tmpdir(), 'millrace-xmc-'))
  const [ours, theirs, packed] = ['millrace', 'pecos', 'packed'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  try {
    if (python !== undefined)
      await execute(python.executable, [program('peers/xmc.py'), 'pack', WORDNET, packed])
    for (const threads of [1, 2]) {
      const own = () =>
        trainOnce(process.execPath, ['--import', 'tsx', program('xmc/train-once.ts'), String(threads), ours])
      const peer = () =>
        trainOnce(python!.executable, [program('peers/xmc.py'), 'train', packed, String(threads), theirs])
      const pairs = await trainings(own, python === undefined ? undefined : peer)
      rows.push(trainedRow('millrace', node, threads, pairs.ours))
      if (python === undefined) continue
      rows.push(trainedRow(PEER, version, threads, pairs.theirs))
      for (const quantity of ['seconds', 'peakBytes', 'modelBytes'] as const) {
        const of = (trained: readonly Trained[]) => trained.map((each) => each[quantity])
        ratios[`xmc.train.${quantity}.threads${threads}.${PEER}`] = medianRatio({
          ours: of(pairs.ours),
          theirs: of(pairs.theirs),
        })
      }
    }
    const { batch, single } = await predictor(ours)
    await python?.ask('load', packed, theirs)
    const compare = async (what: string, mine: () => number, ...words: readonly (string | number)[]) => {
      const peer = async () => (python === undefined ? Number.NaN : await python.ask(...words))
      const pairs = await alternate(mine, peer)
      rows.push({ what: 'predict', who: 'millrace', threads: 1, [what]: median(pairs.ours), version: node })
      if (python === undefined) return
      rows.push({ what: 'predict', who: PEER, threads: 1, [what]: median(pairs.theirs), version })
      ratios[`xmc.${what}.${PEER}`] = medianRatio(pairs)
    }
    await compare('batchMs', batch, 'batch', TOP)
    await compare('singleP50Us', () => single(0.5), 'single', TOP, 0.5)
    await compare('singleP99Us', () => single(0.99), 'single', TOP, 0.99)
  } finally {
    python?.close()
    await rm(folder, { recursive: true, force: true })
  }
  return { bench: 'xmc', rows, ratios, missing }
}
