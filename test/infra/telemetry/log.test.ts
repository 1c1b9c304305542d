import { describe, expect, it } from 'vitest'
import { Secret } from '../../../infra/config/secret.ts'
import { createLog, type LogOptions } from '../../../infra/telemetry/log.ts'
import { MillraceError } from '../../../schemas/errors.ts'

const recorded = (options: Partial<LogOptions> = {}) => {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { lines, log: createLog({ level: 'info', destination, ...options }) }
}

const parsed = (line: string | undefined) => JSON.parse(line ?? 'null') as Record<string, unknown>

describe('a log', () => {
  it('writes one JSON line a message, from its level on', () => {
    const { lines, log } = recorded()
    log.debug('not this')
    log.child({ job: 'decide' }).info({ partition: 2 }, 'opened')
    expect(lines).toHaveLength(1)
    expect(parsed(lines[0])).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      job: 'decide',
      partition: 2,
      msg: 'opened',
    })
  })

  it('shows no secret', () => {
    const { lines, log } = recorded()
    log.info(
      {
        password: 'hunter2',
        kafka: { sasl: { password: 'hunter2' }, token: 'hunter2' },
        key: new Secret('hunter2'),
      },
      'x',
    )
    expect(lines[0]).not.toContain('hunter2')
    expect(parsed(lines[0])['key']).toBe('[redacted]')
  })

  it('writes a MillraceError as code and message, another error with its stack', () => {
    const { lines, log } = recorded()
    log.error(
      { err: new MillraceError('KAFKA_UNAVAILABLE', 'start it', { cause: new Error('ECONNREFUSED') }) },
      'a',
    )
    log.error({ err: new TypeError('bug') }, 'b')
    expect(parsed(lines[0])['err']).toEqual({
      code: 'KAFKA_UNAVAILABLE',
      message: 'start it',
      cause: 'ECONNREFUSED',
    })
    expect(parsed(lines[1])['err']).toMatchObject({
      type: 'TypeError',
      message: 'bug',
      stack: expect.stringContaining('log.test'),
    })
  })

  it('writes readable lines where asked', () => {
    const { lines, log } = recorded({ pretty: true })
    log.warn({ topic: 'rewards', err: new MillraceError('MISSING_TOPIC', 'no rewards') }, 'waiting')
    log.info('plain')
    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} warn {2}waiting {2}topic=rewards {2}code=MISSING_TOPIC {2}error=no rewards\n$/,
    )
    expect(lines[1]).toMatch(/ info {2}plain\n$/)
  })
})
