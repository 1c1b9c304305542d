import { describe, expect, it } from 'vitest'
import { createHealth } from '../../infra/http/health.ts'
import { createLog } from '../../infra/telemetry/log.ts'
import { Remote } from '../../pipelines/process/remote.ts'
import { MillraceError } from '../../schemas/errors.ts'

const away = () => new MillraceError('CLICKHOUSE_UNAVAILABLE', 'nobody answers')

const remote = () => {
  const health = createHealth()
  const lines: string[] = []
  const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } })
  const component = health.component('clickhouse')
  const server = new Remote({ name: 'ClickHouse', away: 'CLICKHOUSE_UNAVAILABLE', component, log })
  return { server, health, lines }
}

describe('a server that may be away', () => {
  it('is tried again until it is back, and is not ready meanwhile', async () => {
    const { server, health, lines } = remote()
    const seen: (string | undefined)[] = []
    let tries = 0
    const work = async () => {
      seen.push(health.report().reasons['clickhouse'])
      if (++tries < 4) throw away()
      return tries
    }
    expect(await server.reach(work)).toBe(4)
    expect(seen).toEqual(['starting', 'nobody answers', 'nobody answers', 'nobody answers'])
    expect(health.report().ready).toBe(true)
    expect(server.isAway).toBe(false)
    // However often it was tried: a line at the beginning and one at the end.
    expect(lines.length).toBe(2)
  })

  it('is not ready while anybody waits', async () => {
    const { server, health } = remote()
    let back = false
    const one = server.reach(async () => {
      if (!back) throw away()
    })
    let tries = 0
    await server.reach(async () => {
      if (++tries < 2) throw away()
    })
    expect(health.report().ready).toBe(false)
    back = true
    await one
    expect(health.report().ready).toBe(true)
  })

  it('is given up at a signal, even where it hangs', async () => {
    const { server } = remote()
    const stop = new AbortController()
    let tries = 0
    const work = (): Promise<void> => {
      if (++tries === 1) return Promise.reject(away())
      setImmediate(() => stop.abort(new Error('stopped')))
      return new Promise(() => {})
    }
    await expect(server.reach(work, stop.signal)).rejects.toThrow('stopped')
    expect(server.isAway).toBe(false)
  })

  it('fails at once with what does not pass, and does not become ready by it', async () => {
    const { server, health } = remote()
    const refused = new MillraceError('CLICKHOUSE_REFUSED', 'wrong password')
    await expect(server.reach(() => Promise.reject(refused))).rejects.toBe(refused)
    expect(health.report().ready).toBe(false)
    let tries = 0
    const later = () => Promise.reject(++tries < 2 ? away() : refused)
    await expect(server.reach(later)).rejects.toBe(refused)
    expect(health.report().ready).toBe(false)
  })
})
