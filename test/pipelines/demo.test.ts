/** The demo as users start it: a process of its own, its standard output, its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { outputOf } from '../child-output.ts'
import { describeWithEmbeddedClickHouse } from '../clickhouse-server.ts'

const START = join(import.meta.dirname, '../../bin/start.mjs')
const TIMEOUT = { timeout: 120_000 }
/** What is promised. */
const STOP_MS = 3_000

interface Demo {
  readonly child: ChildProcess
  readonly out: () => string
  readonly err: () => string
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>
}

const demos: Demo[] = []
const demo = (...options: string[]): Demo => {
  const child = spawn(process.execPath, [START, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  const output = outputOf(child)
  const ended = new Promise<number | string | null>((resolve) => {
    child.on('close', (code, signal) => resolve(code ?? signal))
  })
  const started = { child, out: () => output.stdout, err: () => output.stderr, ended }
  demos.push(started)
  return started
}

afterEach(async () => {
  for (const { child, ended } of demos.splice(0)) {
    child.kill('SIGKILL')
    await ended
  }
})

const KEYS = [
  'events',
  'decisions',
  'rewards',
  'outcomes',
  'deadLetters',
  'rows',
  'rewardRateFirst',
  'rewardRateLast',
  'eventsPerSecond',
  'firstDecisionMs',
  'rssMaxMb',
  'loopDelayP99Ms',
  'documents',
]

describeWithEmbeddedClickHouse('the demo', () => {
  test('run to its end, it closes standard output with its numbers, and they agree', TIMEOUT, async () => {
    const { out, err, ended } = demo('--events', '2000', '--exit')
    expect([await ended, err()]).toEqual([0, expect.not.stringContaining('Error')])
    const lines = out().trimEnd().split('\n')
    const summary = JSON.parse(lines.at(-1)!) as Record<string, number> & {
      rows: Record<string, number>
      documents: { tagged: number; labels: number; retrains: number; precisionAt1: number[] }
    }
    expect(Object.keys(summary)).toEqual(KEYS)
    const { rows, documents, ...numbers } = summary
    for (const [name, value] of Object.entries({ ...numbers, ...rows })) {
      expect([name, Number.isFinite(value)]).toEqual([name, true])
      expect([name, value >= 0]).toEqual([name, true])
    }
    expect(summary.events).toBe(2_000)
    expect(summary.decisions! + summary.deadLetters!).toBe(summary.events)
    expect(summary.outcomes).toBe(summary.decisions)
    expect(rows.decisions).toBe(summary.decisions)
    expect(rows.outcomes).toBe(summary.outcomes)
    expect(rows.rewards).toBe(summary.rewards)
    expect(rows.dead_letters).toBe(summary.deadLetters)
    // Chance is one in ten, and 2,000 digits teach something.
    expect(summary.rewardRateFirst).toBeLessThan(0.3)
    expect(summary.rewardRateLast).toBeGreaterThan(summary.rewardRateFirst! + 0.2)
    expect(lines.slice(0, -1).join('\n')).toContain('--kafka local')
    // A model at a fifth, at three fifths and at the end; each knows more of documents that none has seen.
    const { retrains, precisionAt1, tagged, labels } = documents
    expect(retrains).toBe(3)
    expect(precisionAt1).toHaveLength(3)
    expect(precisionAt1).toEqual([...new Set(precisionAt1)].sort((a, b) => a - b))
    expect(precisionAt1[2]!).toBeGreaterThan(precisionAt1[0]! + 0.1)
    expect(labels).toBeGreaterThan(1_000)
    expect(tagged).toBeGreaterThan(1_600)
    expect(rows['document_labels']).toBeGreaterThan(tagged)
  })

  test('one job alone runs without the other', TIMEOUT, async () => {
    const { out, ended } = demo('--events', '500', '--exit', '--jobs', 'decide')
    expect(await ended).toBe(0)
    const summary = JSON.parse(out().trimEnd().split('\n').at(-1)!) as Record<string, unknown>
    expect(summary).toMatchObject({ events: 500, decisions: 500 })
    expect(summary).not.toHaveProperty('documents')
  })

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s ends a run without end, in order and soon',
    TIMEOUT,
    async (signal) => {
      const { child, err, ended } = demo('--rate', '500')
      const decided = () => Number(/([1-9]\d*) decided/.exec(err())?.[1] ?? 0)
      await expect.poll(decided, { timeout: 60_000, interval: 50 }).toBeGreaterThan(0)
      const asked = performance.now()
      child.kill(signal)
      const code = await ended
      expect([code, err()]).toEqual([0, expect.not.stringMatching(/\bat .*\.ts:\d/)])
      expect(performance.now() - asked).toBeLessThan(STOP_MS)
    },
  )

  test('a job that there is not is refused by name', TIMEOUT, async () => {
    const { err, ended } = demo('--jobs', 'look')
    expect(await ended).toBe(1)
    expect(err()).toMatch(/INVALID_CONFIG.*"look".*decide, tag/)
    expect(err()).not.toMatch(/\bat .*\.ts:\d/)
  })

  test.each([
    ['--events', '0'],
    ['--events', 'many'],
    ['--rate', '-1'],
    ['--evnts', '5'],
  ])('%s %s is refused in words', TIMEOUT, async (option, value) => {
    const { err, ended } = demo(option, value)
    expect(await ended).toBe(1)
    expect(err()).toContain(option)
    expect(err()).not.toMatch(/\bat .*\.ts:\d/)
  })
})
