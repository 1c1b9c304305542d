import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { ProgressLine } from '../../../pipelines/commands/progress-line.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

/** What a line writes to a terminal, or to something else. */
const written = (isTTY: boolean) => {
  const texts: string[] = []
  const stream = { isTTY, write: (text: string) => texts.push(text) } as unknown as NodeJS.WriteStream
  return { texts, progress: new ProgressLine(stream, 'rows') }
}

it('says on a terminal, again and again on one line, how far it is, how fast and how long it will take', () => {
  const { texts, progress } = written(true)
  progress.show('log', 0, 1_000)
  vi.advanceTimersByTime(2_000)
  progress.show('log', 500, 1_000)
  vi.advanceTimersByTime(50)
  progress.show('log', 510, 1_000)
  progress.clear()
  const bar = `[${'█'.repeat(12)}${'·'.repeat(12)}]`
  expect(texts).toEqual([`\r\x1b[K${bar} log: 500 of 1000 rows, 250/s, 2 s left`, '\r\x1b[K'])
})

it('writes plain lines, seldom, where it is no terminal', () => {
  const { texts, progress } = written(false)
  for (let second = 0; second <= 25; second++) {
    progress.show('a\tb', second * 10, 1_000)
    vi.advanceTimersByTime(1_000)
  }
  progress.clear()
  expect(texts).toEqual([
    'a·b: 100 of 1000 rows, 10/s, 90 s left\n',
    'a·b: 200 of 1000 rows, 10/s, 80 s left\n',
  ])
})
