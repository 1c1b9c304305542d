/** What a simulation reads: its file, its flags, and data sets. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { readCsv } from '../../../pipelines/simulate/csv.ts'
import { readData } from '../../../pipelines/simulate/data.ts'
import { readSimulation } from '../../../pipelines/simulate/read-simulation.ts'
import { openAttack } from '../../../pipelines/simulate/run.ts'
import { cellsOf, runsOf } from '../../../pipelines/simulate/simulation.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-simulate-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
const fileOf = (content: string | Buffer, ending = '.csv'): string => {
  const file = join(folder, `${++files}${ending}`)
  writeFileSync(file, content)
  return file
}
const simulationOf = (yaml: string, overrides = {}) =>
  readSimulation({ file: fileOf(yaml, '.yaml'), env: {}, overrides })

const problems = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    return String((error as { code?: string }).code) + String(error).replace(/^MillraceError/, '')
  }
  return 'nothing'
}

describe('a simulation', () => {
  it('is read with its defaults, paths beside the file, and names by kind', () => {
    const read = simulationOf(
      'policies: [{ algorithm: { kind: linUcb, alpha: 0.5 } }]\nenvironments: [linear, { kind: classification, file: digits.csv }]',
    )
    expect(read).toMatchObject({
      name: 'simulation',
      rounds: 10_000,
      seeds: [1, 2, 3, 4, 5],
      points: 100,
      delay: 0,
      attacks: [{ kind: 'none', name: 'none' }],
      environments: [
        { kind: 'linear', name: 'linear', dimension: 10, arms: 20, contexts: 'fresh', sigma: 0.1 },
        { kind: 'classification', name: 'classification', file: join(folder, 'digits.csv') },
      ],
    })
    expect(read.policies).toMatchObject([
      {
        name: 'linUcb',
        algorithm: {
          shared: { alpha: 0.5, variant: 'shared' },
          disjoint: { alpha: 0.5, variant: 'disjoint' },
        },
      },
    ])
  })

  it('keeps a variant that was given', () => {
    const [policy] = simulationOf(
      'policies: [{ algorithm: { kind: linUcb, variant: shared } }]\nenvironments: [linear]',
    ).policies
    expect(policy?.algorithm.disjoint).toMatchObject({ variant: 'shared' })
  })

  it('reads attacks with a target', () => {
    const { attacks } = simulationOf(
      'policies: [linUcb]\nenvironments: [linear]\nattacks: [{ kind: targetedReward, budget: 5 }, { kind: targetedContext, budget: 5, target: 3 }]',
    )
    expect(attacks).toEqual([
      { kind: 'targetedReward', name: 'targetedReward', budget: 5, target: 'worst', epsilon: 0.5 },
      { kind: 'targetedContext', name: 'targetedContext', budget: 5, target: 3 },
    ])
    expect(attacks.map((spec) => openAttack(spec)?.name)).toEqual(['targetedReward', 'targetedContext'])
  })

  it('does not attack a log, and runs every cell with every seed', () => {
    const simulation = simulationOf(
      [
        'seeds: [7, 9]',
        'policies: [linUcb]',
        'environments:',
        '  - linear',
        '  - { kind: logged, file: log.csv, arm: a, reward: r, propensity: p }',
        'attacks: [none, { kind: oracle, budget: 5 }]',
      ].join('\n'),
    )
    const names = cellsOf(simulation).map(({ environment, attack }) => `${environment.name} ${attack.name}`)
    expect(names).toEqual(['linear none', 'linear oracle', 'logged none'])
    expect(runsOf(simulation).map(({ seed }) => seed)).toEqual([7, 7, 7, 9, 9, 9])
  })

  it('takes what the command line says before what the file says', () => {
    const yaml = 'rounds: 5\nseeds: 2\npolicies: [linUcb]\nenvironments: [linear]'
    expect(simulationOf(yaml, { rounds: 9, seeds: undefined })).toMatchObject({ rounds: 9, seeds: [1, 2] })
  })

  it('lists every problem at once, with its line', () => {
    const yaml = [
      'rounds: 0',
      'policies: [{ algorithm: { kind: linUcb, alfa: 1 } }, { name: b, features: { dense: 2 }, algorithm: { kind: linUcb } }]',
      'environments: [liner]',
      'attacks: [{ kind: oracle }]',
    ].join('\n')
    const said = problems(() => simulationOf(yaml))
    expect(said).toMatch(/^INVALID_CONFIG: 5 problems/)
    for (const line of [
      'rounds: must be at least 1 (got 0), line 1',
      'policies[0].algorithm.alfa: unknown key: did you mean "alpha"? (got 1), line 2',
      'policies[1].features: is not for simulations',
      'environments[0].kind: must be one of linear, drifting, logistic, classification, logged; did you mean "linear"?',
      'attacks[0].budget: is required, line 4',
    ])
      expect(said).toContain(line)
    expect(problems(() => simulationOf('policies: [linUcb, linUcb]\nenvironments: [linear]'))).toContain(
      'must not repeat a name',
    )
    expect(problems(() => readSimulation({ file: join(folder, 'no.yaml'), env: {} }))).toContain(
      'no.yaml: there is no such file',
    )
  })
})

describe('data sets', () => {
  const classification = (file: string, label?: string) =>
    readData({
      kind: 'classification',
      name: 'c',
      file,
      classes: 10,
      ...(label === undefined ? {} : { label }),
    })

  it('are read as numbers, words as a 0 or 1 each, the last column as the class', () => {
    const data = classification(fileOf('x,colour,y\n1,red,10\n2.5,blue,9\r\n-3,red,10\n'))
    expect(data).toEqual({
      kind: 'examples',
      examples: {
        features: Float64Array.of(1, 0, 1, 2.5, 1, 0, -3, 0, 1),
        labels: Int32Array.of(1, 0, 1),
        classes: ['9', '10'],
      },
    })
  })

  it('are unpacked where they are packed, and the class may be any column', () => {
    const data = classification(fileOf(gzipSync('y,x\nb,1\na,2\n'), '.csv.gz'), 'y')
    expect(data).toMatchObject({
      examples: { labels: Int32Array.of(1, 0), classes: ['a', 'b'], features: Float64Array.of(1, 2) },
    })
  })

  it('of a log have a constant beside the context', () => {
    const file = fileOf('arm,r,p,u\nx,1,0.5,k\ny,0,0.25,l\n')
    const spec = { kind: 'logged', name: 'l', file, arm: 'arm', reward: 'r', propensity: 'p' } as const
    expect(readData({ ...spec, context: ['u'] })).toEqual({
      kind: 'log',
      log: {
        arms: ['x', 'y'],
        dimension: 3,
        contexts: Float64Array.of(1, 0, 1, 0, 1, 1),
        taken: Int32Array.of(0, 1),
        propensities: Float64Array.of(0.5, 0.25),
        rewards: Float64Array.of(1, 0),
      },
    })
  })

  it.each([
    ['x,y\n1\n', 'line 2: 1 fields, the header has 2'],
    ['x,y\n"1",2\n', 'line 2: quoted fields are not read'],
    ['x,x\n1,2\n', 'column "x" is there twice'],
    ['x,y\n', 'a header and rows are expected'],
    ['', 'a header and rows are expected'],
    ['x,y\n1,a\nNaN,b\n', 'line 3: x is "NaN", not a finite number'],
    ['x,y\n1,a\n,b\n', 'line 3: x is "", not a finite number'],
    ['x,y\n1,a\nred,b\n', 'line 3: x is "red", not a finite number'],
    ['x,y\n1,a\n1e999,b\n', 'line 3: x is "1e999", not a finite number'],
    ['x,y\n1,a\n2,a\n', 'one value only'],
    [
      `x,y\n${Array.from({ length: 11 }, (_, i) => `1,${i}`).join('\n')}\n`,
      '11 different values, at most 10',
    ],
  ])('that are broken are refused by their line: %j', (content, message) => {
    const file = fileOf(content)
    expect(problems(() => classification(file))).toContain(`${file}`)
    expect(problems(() => classification(file))).toContain(message)
  })

  it('that are not there, or not packed, are refused with their path', () => {
    expect(problems(() => readCsv(join(folder, 'none.csv')))).toContain('none.csv: there is no such file')
    expect(problems(() => readCsv(fileOf('no gzip', '.gz')))).toContain('incorrect header check')
    expect(problems(() => classification(fileOf('x,y\n1,2\n'), 'z'))).toContain('there is no column "z"')
  })
})
