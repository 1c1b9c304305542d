/** `millrace simulate` as its users run it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeWithEmbeddedClickHouse } from '../../clickhouse-server.ts'
import { useCommandLine } from './millrace.ts'

const millrace = useCommandLine()

describe('millrace simulate', () => {
  it('needs no file: one policy, one environment, a table and a picture', async () => {
    const { code, stdout, stderr } = await millrace.run(
      ...[
        'simulate',
        '--rounds',
        '200',
        '--seeds',
        '2',
        '--attack',
        'oracle',
        '--budget',
        '10',
        '--no-clickhouse',
      ],
    )
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `picture: ${join(millrace.folder, 'simulation.svg')}\n`,
    })
    const [headings, ...rows] = stdout.trimEnd().split('\n')
    expect(headings).toMatch(
      /^environment +attack +policy +seeds +regret +mean reward +rounds +cost +attacked$/,
    )
    expect(rows.map((row) => row.split(/ {2,}/).slice(0, 4))).toEqual([
      ['linear', 'none', 'linUcb', '2'],
      ['linear', 'oracle', 'linUcb', '2'],
    ])
    expect(readFileSync(join(millrace.folder, 'simulation.svg'), 'utf8')).toMatch(/^<svg /)
  })

  it('plays a CSV as a bandit, and prints JSON where it is asked to; the same again every time', async () => {
    const rows = Array.from({ length: 60 }, (_, i) => `${i % 3},${(i * 7) % 5},${['a', 'b', 'c'][i % 3]}`)
    millrace.write('three.csv', `x,noise,class\n${rows.join('\n')}\n`)
    const args = ['simulate', '--environment', 'three.csv', '--rounds', '500', '--no-clickhouse', '--json']
    const [first, second] = [await millrace.run(...args), await millrace.run(...args, '--threads', '1')]
    expect(first.stdout).toBe(second.stdout)
    const result = JSON.parse(first.stdout) as { environment: string; reward: { mean: number } }
    expect(result).toMatchObject({
      environment: 'three',
      policy: 'linUcb',
      attack: 'none',
      seeds: 5,
      rounds: 500,
    })
    expect(result.reward.mean).toBeGreaterThan(0.8)
  })

  it('refuses nonsense with a code, before it plays anything', async () => {
    millrace.write('bad.csv', 'x,y\n1,a\nNaN,b\n')
    millrace.write('bad.yaml', 'policies: [linUcb]\nenvironments: [liner]\n')
    const cases: [string[], RegExp][] = [
      [['nowhere.yaml'], /^INVALID_CONFIG: cannot read the simulation nowhere.yaml: there is no such file/],
      [
        ['bad.yaml'],
        /^INVALID_CONFIG: 1 problem[\s\S]*environments\[0\].kind: [\s\S]*did you mean "linear"\?[\s\S]*line 2/,
      ],
      [['--environment', 'bad.csv'], /^NON_FINITE_NUMBER: .*bad.csv, line 3: x is "NaN"/],
      [['--attack', 'orakel'], /^INVALID_CONFIG: [\s\S]*attacks\[1\].kind: must be one of/],
      [['--policies', 'linUbc'], /^INVALID_CONFIG: [\s\S]*policies\[0\].algorithm.kind: must be one of/],
      [
        ['--picture', 'no/where.svg'],
        /^INVALID_CONFIG: --picture: cannot write .*where.svg: there is no such folder/,
      ],
      [['--rounds', '-1'], /--rounds <n>.* it must be a whole number above 0/],
    ]
    await Promise.all(
      cases.map(async ([args, message]) => {
        const { code, stderr, stdout } = await millrace.run('simulate', '--no-clickhouse', ...args)
        expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: '' })
        expect(stderr).toMatch(message)
      }),
    )
  })
})

describeWithEmbeddedClickHouse('millrace simulate with ClickHouse', () => {
  it('writes curves to the embedded server, and says how to read them', async () => {
    const { code, stderr } = await millrace.run('simulate', '--rounds', '100', '--seeds', '2')
    expect(code).toBe(0)
    expect(stderr).toContain("SELECT * FROM millrace.simulation_regret WHERE simulation = 'simulation'")
  })
})
