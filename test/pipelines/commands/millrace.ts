/** The command line as its users run it: a process of its own, in an empty folder, with no configuration from outside. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, vi } from 'vitest'
import { outputOf } from '../../child-output.ts'

const PROGRAM = fileURLToPath(new URL('../../../bin/millrace.mjs', import.meta.url))
const DEADLINE_MS = 60_000
/** A process takes a second to start, several on a busy machine, and a test starts a few. */
const TEST_TIMEOUT_MS = 180_000

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Started {
  readonly child: ChildProcess
  readonly stderr: () => string
  readonly ended: Promise<Ended>
  /** Waits until standard error matches. */
  until(pattern: RegExp): Promise<RegExpExecArray>
}

export interface CommandLine {
  readonly folder: string
  /** Writes a file into the folder. */
  write(name: string, text: string): void
  start(...args: string[]): Started
  run(...args: string[]): Promise<Ended>
}

/** A folder to run in, removed with whatever still runs there after the file's tests. Call at the top of a suite. */
export const useCommandLine = (): CommandLine => {
  vi.setConfig({ testTimeout: TEST_TIMEOUT_MS })
  const folder = mkdtempSync(join(tmpdir(), 'millrace-command-line-'))
  const children = new Set<ChildProcess>()
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  const start = (...args: string[]): Started => {
    const { PATH, HOME, TMPDIR } = process.env
    const env = { PATH, HOME, TMPDIR }
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(child)
    const output = outputOf(child)
    const ended = new Promise<Ended>((resolve) =>
      child.on('close', (code) => {
        children.delete(child)
        resolve({ code, ...output })
      }),
    )
    const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
      const deadline = Date.now() + DEADLINE_MS
      for (;;) {
        const match = pattern.exec(output.stderr)
        if (match !== null) return match
        if (Date.now() > deadline || !children.has(child))
          throw new Error(`${pattern} never came:\n${output.stderr}`)
        await sleep(20)
      }
    }
    return { child, stderr: () => output.stderr, ended, until }
  }
  return {
    folder,
    write: (name, text) => writeFileSync(join(folder, name), text),
    start,
    run: (...args) => start(...args).ended,
  }
}

/** Polls `probe` until it gives something else than undefined. */
export const eventually = async <T>(what: string, probe: () => Promise<T | undefined>): Promise<T> => {
  const deadline = Date.now() + DEADLINE_MS
  for (;;) {
    const found = await probe()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`${what}: not within ${DEADLINE_MS} ms`)
    await sleep(50)
  }
}
