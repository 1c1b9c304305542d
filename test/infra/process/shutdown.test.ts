import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { runUntilStopped } from '../../../infra/process/shutdown.ts'

const program = fileURLToPath(new URL('./stopping-process.ts', import.meta.url))
let child: ChildProcess | undefined
afterEach(() => {
  child?.kill('SIGKILL')
})

/** Starts the process; `until` waits for a line, `ended` for its exit code and all lines. */
const start = (...args: string[]) => {
  const process_ = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child = process_
  let output = ''
  const waiting = new Set<() => void>()
  process_.stdout.on('data', (chunk) => {
    output += chunk
    for (const check of waiting) check()
  })
  const until = (line: string) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (!output.includes(`${line}\n`)) return
        waiting.delete(check)
        resolve()
      }
      waiting.add(check)
      check()
    })
  const ended = new Promise<[number | null, string[]]>((resolve) =>
    process_.on('close', (code) => resolve([code, output.trim().split('\n')])),
  )
  return { until, ended, signal: (name: NodeJS.Signals) => process_.kill(name) }
}

describe('a process told to stop', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('by %s ends in order, with its result', async (name) => {
    const { until, ended, signal } = start()
    await until('running')
    signal(name)
    expect(await ended).toEqual([0, ['running', `stopping ${name}`, 'closed', 'result 0']])
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('a second time, by %s, ends at once with %d', async (name, code) => {
    const { until, ended, signal } = start('600000', '600000')
    await until('running')
    signal('SIGTERM')
    await until('stopping SIGTERM')
    signal(name)
    expect(await ended).toEqual([code, ['running', 'stopping SIGTERM', `forced ${name} second signal`]])
  })

  it('ends by force when its grace is over', async () => {
    const { until, ended, signal } = start('600000', '50')
    await until('running')
    signal('SIGTERM')
    expect(await ended).toEqual([143, ['running', 'stopping SIGTERM', 'forced SIGTERM grace exceeded']])
  })
})

describe('work that ends by itself', () => {
  it('gives its result or its error, and leaves no listener', async () => {
    const before = process.listenerCount('SIGTERM')
    expect(await runUntilStopped(async () => 7, { graceMs: 1 })).toBe(7)
    await expect(runUntilStopped(() => Promise.reject(new Error('broken')), { graceMs: 1 })).rejects.toThrow(
      'broken',
    )
    expect(process.listenerCount('SIGTERM')).toBe(before)
  })
})
