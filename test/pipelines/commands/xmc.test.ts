/** `millrace xmc` as its users run it: train, predict, evaluate, import; results on standard output, codes where something is wrong. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { commandLine } from '../../../pipelines/main.ts'
import { goldenPath } from '../../golden.ts'
import { useCommandLine } from './millrace.ts'

const millrace = useCommandLine()
const folder = mkdtempSync(join(tmpdir(), 'millrace-xmc-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
afterEach(() => void vi.restoreAllMocks())

const at = (name: string) => join(folder, name)
const write = (name: string, content: string | Buffer) => writeFileSync(at(name), content)

/** What a command prints, in this process: starting one takes a second. */
const xmc = async (...args: string[]): Promise<string> => {
  let printed = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text)
    return true
  })
  try {
    await commandLine().parseAsync(['xmc', ...args], { from: 'user' })
  } finally {
    vi.restoreAllMocks()
  }
  return printed
}

/** 120 documents: the features of a label are its number and the one behind; two labels a document. */
const DOCUMENTS = (() => {
  const lines = Array.from({ length: 120 }, (_, i) => {
    const labels = [i % 12, (i * 5 + 1) % 12].sort((a, b) => a - b)
    const features = [...new Set(labels.flatMap((label) => [label, label + 1]))].sort((a, b) => a - b)
    return `${[...new Set(labels)].join(',')} ${features.map((f) => `${f}:${f % 2 ? 1 : 0.5}`).join(' ')}`
  })
  return `120 13 12\n${lines.join('\n')}\n`
})()

const TRAIN = ['--branching', '2', '--max-leaf', '3', '--beam', '4', '--threads', '1']
write('train.txt', DOCUMENTS)

describe('millrace xmc', () => {
  it('trains a model and predicts with it, as a program', async () => {
    millrace.write('train.txt', DOCUMENTS)
    millrace.write('labels.txt', Array.from({ length: 12 }, (_, label) => `label ${label}\n`).join(''))
    const trained = await millrace.run(
      'xmc',
      'train',
      'train.txt',
      'model',
      ...TRAIN,
      '--labels',
      'labels.txt',
    )
    expect(trained).toMatchObject({ code: 0, stderr: '' })
    expect(trained.stdout).toMatch(
      /^12 labels in 4 clusters from 120 documents, 13 features, [\d.]+ s\nmodel: \d+ bytes, SHA-256 [0-9a-f]{64}\n$/,
    )
    const [predicted, again] = await Promise.all([
      millrace.run('xmc', 'predict', 'model', 'train.txt', '--top', '2', '--json'),
      millrace.run('xmc', 'train', 'train.txt', 'model', ...TRAIN),
    ])
    expect(predicted).toMatchObject({ code: 0, stderr: '' })
    const lines = predicted.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toHaveLength(120)
    expect(lines[7]).toMatchObject({
      document: 7,
      labels: [{ label: expect.stringMatching(/^label \d+$/), score: expect.any(Number) }, {}],
    })
    expect(again.code).toBe(1)
    expect(again.stderr).toMatch(/^INVALID_CONFIG: .*model is there already, a model\n$/)
  })

  it('gives the same model whatever the number of threads, from packed files too', async () => {
    write('train.txt.gz', gzipSync(DOCUMENTS))
    const [one, two] = [
      JSON.parse(await xmc('train', at('train.txt'), at('one'), ...TRAIN, '--json')),
      JSON.parse(await xmc('train', at('train.txt.gz'), at('two'), ...TRAIN, '--threads', '2', '--json')),
    ]
    expect(one).toMatchObject({ documents: 120, features: 13, labels: 12, clusters: 4, copies: 0 })
    expect(two.sha256).toBe(one.sha256)
    const options = ['--replace', '--seed', '3', '--solver', 'logistic', '--negatives', 'tfn+man', '--json']
    expect(JSON.parse(await xmc('train', at('train.txt'), at('two'), ...TRAIN, ...options)).sha256).not.toBe(
      one.sha256,
    )
  })

  it('evaluates a model, or a file of predictions, to the same figures', async () => {
    await xmc('train', at('train.txt'), at('model'), ...TRAIN)
    await xmc('predict', at('model'), at('train.txt'), '--top', '3', '--out', at('predictions.txt'))
    const predicted = readFileSync(at('predictions.txt'), 'utf8').split('\n')
    expect(predicted[0]).toBe('120 12')
    expect(predicted[1]).toMatch(/^\d+:[\d.e-]+ \d+:[\d.e-]+ \d+:[\d.e-]+$/)
    const args = [at('train.txt'), '--at', '1,3', '--json']
    const { innerProducts, ...metrics } = JSON.parse(await xmc('evaluate', at('model'), ...args))
    expect(innerProducts).toBeGreaterThan(0)
    expect(metrics).toMatchObject({ documents: 120, at: [1, 3] })
    expect(metrics.propensityScored).toBeUndefined()
    expect(JSON.parse(await xmc('evaluate', at('predictions.txt'), ...args))).toEqual(metrics)

    const table = await xmc(
      'evaluate',
      at('model'),
      at('train.txt'),
      '--at',
      '1,2',
      '--train',
      at('train.txt'),
    )
    const [headings, ...rows] = table.split('\n').map((row) => row.split(/ +/))
    expect(headings).toEqual(['%', '@1', '@2'])
    expect(rows.slice(0, 4).map(([name]) => name)).toEqual(['P', 'PSP', 'recall', 'nDCG'])
    expect(Number(rows[0]![1])).toBeGreaterThan(90)
    expect(rows[4]!.slice(1).join(' ')).toBe('inner products a document in the last level')
  })

  it('lets labels lie in several clusters', async () => {
    const printed = await xmc(
      'train',
      at('train.txt'),
      at('overlapping'),
      ...TRAIN,
      '--disentangle',
      '2',
      '--json',
    )
    const { copies } = JSON.parse(printed)
    expect(copies).toBeGreaterThan(0)
    const capped = await xmc(
      'train',
      at('train.txt'),
      at('capped'),
      ...TRAIN,
      '--disentangle',
      '2',
      '--cap',
      '4',
      '--json',
    )
    expect(JSON.parse(capped).copies).toBeLessThan(copies)
  })

  it('brings a model that PECOS trained, and predicts what PECOS predicts', async () => {
    const golden = goldenPath('xmc-pecos')
    const { rows, predictions } = JSON.parse(readFileSync(join(golden, 'index.json'), 'utf8'))
    const lines = rows.map(
      ([indices, values]: number[][]) =>
        ` ${indices!.map((feature, i) => `${feature}:${values![i]}`).join(' ')}`,
    )
    write('rows.txt', `${rows.length} 18 11\n${lines.join('\n')}\n`)
    cpSync(join(golden, 'model'), at('pecos'), { recursive: true })
    expect(await xmc('import', at('pecos'), at('imported'))).toMatch(
      /^11 labels in 4 clusters, 18 features, /,
    )
    await xmc(
      'predict',
      at('imported'),
      at('rows.txt'),
      '--no-normalise',
      '--top',
      '5',
      '--json',
      '--out',
      at('found'),
    )
    const found = readFileSync(at('found'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line): { label: string; score: number }[] => JSON.parse(line).labels)
    const { labels, scores } = predictions.find(
      (each: { beam: number; transform: string }) => each.beam === 2 && each.transform === 'l3-hinge',
    )
    expect(found.map((row) => row.map(({ label }) => Number(label)))).toEqual(labels)
    for (const [row, each] of found.entries())
      for (const [i, { score }] of each.entries()) expect(score).toBeCloseTo(scores[row][i], 5)
  })

  it('ends with a code and a place where something is wrong, without a stack', async () => {
    millrace.write('bad.txt', '2 3 2\n0 0:1\n1 0:1 7:2\n')
    const [read, argument] = await Promise.all([
      millrace.run('xmc', 'train', 'bad.txt', 'm'),
      millrace.run('xmc', 'train', 'bad.txt', 'm', '--negatives', 'usn'),
    ])
    expect(read).toMatchObject({ code: 1, stdout: '' })
    expect(read.stderr).toMatch(/^WRONG_DIMENSION: bad\.txt, line 3, column 7: .*\n$/)
    expect(argument).toMatchObject({ code: 1, stdout: '' })
    expect(argument.stderr).toContain('Allowed choices are tfn, man, tfn+man.')
  })

  it('refuses by code what it cannot read, learn from or compare', async () => {
    write('unlabelled.txt', '1 3 2\n 0:1\n')
    write('few.txt', 'a\n')
    write('good.txt', '2 3 2\n0 0:1\n1 1:1\n')
    write('predicted.txt', '2 9\n1:1\n\n')
    const cases: [string[], string, RegExp][] = [
      [['train', at('none.txt'), at('m')], 'INVALID_CONFIG', /none\.txt: there is no such file$/],
      [['train', at('unlabelled.txt'), at('m')], 'INVALID_EVENT', /^no document has a label/],
      [
        ['train', at('good.txt'), at('m'), '--labels', at('few.txt')],
        'MALFORMED_FILE',
        /few\.txt, line 2, column 1: 1 labels/,
      ],
      [['train', at('good.txt'), folder], 'INVALID_CONFIG', / is there already$/],
      [['predict', at('nowhere'), at('good.txt')], 'INVALID_CONFIG', /^there is no model .*nowhere$/],
      [
        ['evaluate', at('predicted.txt'), at('good.txt')],
        'WRONG_DIMENSION',
        /predicted\.txt has 9 labels, .*good\.txt 2$/,
      ],
      [['import', at('nowhere'), at('m')], 'INVALID_CONFIG', /nowhere\/param\.json: ENOENT$/],
    ]
    for (const [args, code, message] of cases)
      await expect(xmc(...args)).rejects.toEqual(
        expect.objectContaining({ code, message: expect.stringMatching(message) }),
      )
    await xmc('train', at('good.txt'), at('small'), '--max-leaf', '1')
    await expect(xmc('predict', at('small'), at('train.txt'), '--out', at('p'))).rejects.toEqual(
      expect.objectContaining({
        code: 'WRONG_DIMENSION',
        message: 'the documents have 13 features, the model 3',
      }),
    )
    await expect(xmc('predict', at('small'), at('good.txt'), '--out', at('no/such/p'))).rejects.toEqual(
      expect.objectContaining({
        code: 'INVALID_CONFIG',
        message: expect.stringMatching(/^cannot write .*ENOENT$/),
      }),
    )
    expect(existsSync(at('m'))).toBe(false)
  })
})
