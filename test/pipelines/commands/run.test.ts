import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { startClickHouseProxy } from '../../clickhouse-proxy.ts'
import { describeWithEmbeddedClickHouse, useClickHouse } from '../../clickhouse-server.ts'
import { eventually, type Started, useCommandLine } from './millrace.ts'

const POLICIES = `policies:
  - { name: homepage, algorithm: { kind: linUcb }, features: { dense: 4 } }
`
const MEMORY = `kafka: { adapter: memory }\nhttp: { port: 0 }\nmetrics: { interval: 500ms }\n${POLICIES}`

/** The parsed line that holds `text`. */
const lineWith = (stderr: string, text: string) =>
  stderr
    .split('\n')
    .filter((line) => line.includes(text))
    .map((line) => JSON.parse(line) as Record<string, unknown>)

const addressOf = async (started: Started): Promise<string> =>
  (await started.until(/"url":"(http:[^"]+)","pipelines"/))[1]!

const ready = (url: string) =>
  eventually('ready', async () => ((await fetch(`${url}/ready`)).status === 200 ? true : undefined))

/** The server that a process of ours started; /proc says so, where there is one. */
const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        return readFileSync(`/proc/${entry}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1] === String(pid)
      } catch {
        return false
      }
    })
    .map(Number)

describeWithEmbeddedClickHouse('millrace run', () => {
  const millrace = useCommandLine()
  const clickhouse = useClickHouse()
  millrace.write('memory.yaml', MEMORY)

  it('becomes ready with all pipelines, and ends in order at SIGTERM with exit code 0', async () => {
    const started = millrace.start('run', 'all', '--config', 'memory.yaml')
    const url = await addressOf(started)
    await ready(url)
    expect((await fetch(`${url}/live`)).status).toBe(200)
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('millrace_')
    expect(await (await fetch(`${url}/config`)).json()).toMatchObject({ kafka: { adapter: 'memory' } })
    started.child.kill('SIGTERM')
    const { code, stderr, stdout } = await started.ended
    expect(code).toBe(0)
    expect(stdout).toBe('')
    expect(lineWith(stderr, 'stopping')).toMatchObject([{ level: 'info', signal: 'SIGTERM' }])
    expect(lineWith(stderr, '"msg":"stopped"').length).toBe(1)
  })

  it('runs the pipelines that are named, and ends at SIGINT with exit code 0', async () => {
    const started = millrace.start('run', 'decide', 'attribute', '--config', 'memory.yaml')
    await ready(await addressOf(started))
    started.child.kill('SIGINT')
    const { code, stderr } = await started.ended
    expect(code).toBe(0)
    expect(stderr).not.toContain('embedded ClickHouse')
  })

  it.skipIf(process.platform !== 'linux')('ends at once at a second signal, with exit code 143', async () => {
    const started = millrace.start('run', 'record', '--config', 'memory.yaml')
    await ready(await addressOf(started))
    const [server] = childrenOf(started.child.pid!)
    // A ClickHouse that does not move keeps the orderly end waiting.
    process.kill(server!, 'SIGSTOP')
    try {
      started.child.kill('SIGTERM')
      await started.until(/"msg":"stopping/)
      started.child.kill('SIGTERM')
      const { code, stderr } = await started.ended
      expect(code).toBe(143)
      expect(lineWith(stderr, 'second signal').length).toBe(1)
    } finally {
      process.kill(server!, 'SIGKILL')
    }
  })

  it('says of a ClickHouse that refuses it why, in one line with a code and no stack', async () => {
    const { url, username } = await clickhouse.options()
    const wrong = `clickhouse: { url: '${url}', username: '${username}', password: wrong }\n`
    millrace.write('wrong.yaml', MEMORY + wrong)
    const { code, stderr } = await millrace.run('run', 'all', '--config', 'wrong.yaml')
    expect(code).toBe(1)
    const [fatal, ...others] = lineWith(stderr, '"level":"fatal"')
    expect(others).toEqual([])
    expect(fatal).toMatchObject({ code: 'CLICKHOUSE_REFUSED' })
    expect(fatal!['msg']).toMatch(/^CLICKHOUSE_REFUSED: .*AUTHENTICATION_FAILED/)
    expect(stderr).not.toContain('"stack"')
  })

  it('runs what needs no ClickHouse where that is away, says so, and ends in order', async () => {
    millrace.write('away.yaml', `${MEMORY}clickhouse: { url: 'http://127.0.0.1:1' }\n`)
    const started = millrace.start('run', 'all', '--config', 'away.yaml')
    const url = await addressOf(started)
    const reasons = await eventually('only record waits', async () => {
      const answer = await fetch(`${url}/ready`)
      expect(answer.status).toBe(503)
      const { reasons } = (await answer.json()) as { reasons: Record<string, string> }
      return Object.keys(reasons).sort().join() === 'clickhouse,record' ? reasons : undefined
    })
    expect(reasons['clickhouse']).toMatch(/did not take a connection: .*Start that server/)
    started.child.kill('SIGTERM')
    const { code, stderr } = await started.ended
    expect(code).toBe(0)
    expect(lineWith(stderr, 'ClickHouse is away')).toMatchObject([{ level: 'warn' }])
    expect(lineWith(stderr, '"level":"fatal"')).toEqual([])
  })

  it.each(['refused', 'hanging'] as const)(
    'ends in order and in time while a ClickHouse is away (%s)',
    async (fault) => {
      const { url, username, password } = await clickhouse.options()
      const proxy = await startClickHouseProxy(url)
      try {
        const database = `millrace_test_${randomBytes(6).toString('hex')}`
        const login = `username: '${username}', password: '${password}'`
        millrace.write(
          'proxied.yaml',
          `${MEMORY}clickhouse: { url: '${proxy.url}', ${login}, database: ${database} }\n`,
        )
        const started = millrace.start('run', 'all', '--config', 'proxied.yaml')
        const address = await addressOf(started)
        await ready(address)
        proxy.fault = fault
        await eventually('a block under way', async () => (proxy.struck > 0 ? true : undefined))
        started.child.kill('SIGTERM')
        const { code, stderr } = await started.ended
        expect(lineWith(stderr, 'ended at once')).toEqual([])
        expect(code).toBe(0)
      } finally {
        await proxy.close()
      }
    },
  )

  it('begins an embedded ClickHouse anew that has ended', async () => {
    const started = millrace.start('run', 'all', '--config', 'memory.yaml')
    const url = await addressOf(started)
    await ready(url)
    const pid = (await started.until(/"msg":"embedded ClickHouse ready/)) && childrenOf(started.child.pid!)[0]
    process.kill(pid!, 'SIGKILL')
    await eventually('another one', async () =>
      started.stderr().split('embedded ClickHouse ready').length === 3 ? true : undefined,
    )
    await ready(url)
    started.child.kill('SIGTERM')
    expect((await started.ended).code).toBe(0)
  })

  it('ends with what an address in use is', async () => {
    const first = millrace.start('run', 'decide', '--config', 'memory.yaml')
    const { port } = new URL(await addressOf(first))
    millrace.write('taken.yaml', MEMORY.replace('port: 0', `port: ${port}`))
    const { code, stderr } = await millrace.run('run', 'decide', '--config', 'taken.yaml')
    expect(code).toBe(1)
    expect(stderr).toContain(
      `INVALID_CONFIG: cannot listen on http.host 127.0.0.1, http.port ${port}: EADDRINUSE`,
    )
    first.child.kill('SIGTERM')
    expect((await first.ended).code).toBe(0)
  })
})
