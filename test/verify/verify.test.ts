import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { goldenPath } from '../golden.ts'
import { kindOf, resultLine, verifyFolder } from './verify.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-verify-'))
afterAll(() => rmSync(root, { recursive: true }))

type Json = Record<string, unknown>

let made = 0
/** A folder with the given index and files. */
const folder = (index: unknown, files: Readonly<Record<string, unknown>> = {}): string => {
  const path = join(root, `set-${made++}`)
  mkdirSync(path)
  if (index !== undefined) writeFileSync(join(path, 'index.json'), JSON.stringify(index))
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(path, name), JSON.stringify(content))
  return path
}

const golden = (file: string): Json => JSON.parse(readFileSync(join(goldenPath('bandits'), file), 'utf8'))
const linUcbCase = (name = 'linucb'): Json => {
  const cases = golden('index.json')['cases'] as Json[]
  return { ...cases.find((each) => each['name'] === 'linucb')!, name, files: ['in.json', 'out.json'] }
}
/** The LinUCB case under other file names, its results changed. */
const spoiled = (change: (run: Json, inputs: Json) => void): string => {
  const results = golden('linucb.json') as { runs: Record<string, Json> }
  const inputs = golden('inputs-linear.json')
  change(results.runs['fixed']!, inputs)
  return folder({ set: 'B', cases: [linUcbCase()] }, { 'in.json': inputs, 'out.json': results })
}

describe('verify', () => {
  it('passes the reference as it stands, in folders of any name', async () => {
    const [result] = await verifyFolder(spoiled(() => {}))
    expect(result).toMatchObject({ set: 'B', name: 'linucb', passed: true })
    expect(resultLine(result!)).toMatch(/^PASS B\/linucb error=\S+ arms=0 theta=/)
    expect(result!.error).toBeLessThan(1)
  })

  it.each([
    ['an arm is another', (run: Json) => ((run['arms'] as number[])[299]! += 1)],
    ['θ is off by more than its tolerance', (run: Json) => ((run['theta'] as number[])[0]! += 2e-9)],
    ['a regret is off', (run: Json) => ((run['regret'] as number[])[100]! += 2e-8)],
    ['an array is missing', (run: Json) => delete run['theta']],
    ['an array is short', (run: Json) => (run['arms'] as number[]).pop()],
    ['an array is empty', (run: Json) => (run['arms'] = [])],
    ['a number is not one', (run: Json) => ((run['regret'] as unknown[])[5] = null)],
    ['the inputs lack their noise', (_: Json, inputs: Json) => delete inputs['noise']],
    ['an input is not finite', (_: Json, inputs: Json) => ((inputs['theta'] as unknown[])[0] = null)],
  ])('fails where %s', async (_, change) => {
    const [result] = await verifyFolder(spoiled(change))
    expect(result!.passed).toBe(false)
    expect(result!.error).toBeGreaterThan(1)
    expect(resultLine(result!)).toMatch(/^FAIL B\/linucb error=/)
  })

  it('takes for the kind the longest registered name that is the case or a prefix of it', () => {
    const kinds = ['linucb', 'lin', 'theory-alpha', 'theory']
    expect(kindOf('linucb', kinds)).toBe('linucb')
    expect(kindOf('linucb-large-d', kinds)).toBe('linucb')
    expect(kindOf('theory-alpha-2', kinds)).toBe('theory-alpha')
    expect(kindOf('theory-beta', kinds)).toBe('theory')
    expect(kindOf('linucbx', kinds)).toBeUndefined()
  })

  it('fails a case of unknown kind, unless other kinds are asked for', async () => {
    const path = spoiled(() => {})
    writeFileSync(
      join(path, 'index.json'),
      JSON.stringify({ cases: [linUcbCase('linucb-again'), { name: 'oracle', files: ['in.json'] }] }),
    )
    const all = await verifyFolder(path)
    expect(all.map(({ set, name, passed }) => [set, name, passed])).toEqual([
      [basename(path), 'linucb-again', true],
      [basename(path), 'oracle', false],
    ])
    expect(await verifyFolder(path, ['linucb'])).toHaveLength(1)
    expect((await verifyFolder(path, ['oracle'])).map(({ passed }) => passed)).toEqual([false])
  })

  it('goes into the sub-folders an index names', async () => {
    const path = folder({ folders: ['one', { name: 'two', index: 'deep/two/index.json' }] })
    for (const sub of ['one', 'deep/two']) {
      mkdirSync(join(path, sub), { recursive: true })
      for (const file of ['index.json', 'murmur2.json']) {
        copyFileSync(join(goldenPath('kafka'), file), join(path, sub, file))
      }
    }
    const results = await verifyFolder(path)
    expect(results.map(({ set, passed }) => [set, passed])).toEqual([
      ['one', true],
      ['two', true],
    ])
  })

  it.each([
    ['is not there', () => join(root, 'nowhere')],
    ['has no index', () => folder(undefined)],
    ['has an index without cases', () => folder({ cases: [] })],
    ['names a sub-folder that is not there', () => folder({ folders: ['gone'] })],
    ['names itself', () => folder({ folders: ['.'] })],
    ['has a case without files', () => folder({ cases: [{ name: 'linucb', files: [] }] })],
    ['has a case whose file is missing', () => folder({ cases: [linUcbCase()] })],
    [
      'has an index that is no JSON',
      () => {
        const path = folder(undefined)
        writeFileSync(join(path, 'index.json'), '{')
        return path
      },
    ],
  ])('fails where the folder %s', async (_, make) => {
    const results = await verifyFolder(make())
    expect(results.map(({ passed }) => passed)).toEqual([false])
  })
})
