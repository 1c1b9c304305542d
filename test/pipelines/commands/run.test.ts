import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { describeWithEmbeddedClickHouse } from '../../clickhouse-server.ts'
import { eventually, type Started, useCommandLine } from './millrace.ts'

const POLICIES = `policies:
  - { name: homepage, algorithm: { kind: linUcb }, features: { dense: 4 } }
`
const MEMORY = `kafka: { adapter: memory }\nhttp: { port: 0 }\n${POLICIES}`

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

  it('says of a ClickHouse that is away what to start, in one line with a code and no stack', async () => {
    millrace.write('away.yaml', `${MEMORY}clickhouse: { url: 'http://127.0.0.1:1', patience: 300ms }\n`)
    const { code, stderr } = await millrace.run('run', 'all', '--config', 'away.yaml')
    expect(code).toBe(1)
    const [fatal, ...others] = lineWith(stderr, '"level":"fatal"')
    expect(others).toEqual([])
    expect(fatal).toMatchObject({ code: 'CLICKHOUSE_UNAVAILABLE' })
    expect(fatal!['msg']).toMatch(/^CLICKHOUSE_UNAVAILABLE: .*Start that server/)
    expect(stderr).not.toContain('"stack"')
  })

  it('ends with exit code 0 when it is stopped while it waits', async () => {
    millrace.write('waits.yaml', `${MEMORY}clickhouse: { url: 'http://127.0.0.1:1', patience: 10m }\n`)
    const started = millrace.start('run', 'all', '--config', 'waits.yaml')
    const url = await addressOf(started)
    await started.until(/trying a connection again/)
    const answer = await fetch(`${url}/ready`)
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ reasons: { clickhouse: 'not reached yet' } })
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
