import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { commandLine } from '../../../pipelines/main.ts'
import { useCommandLine } from './millrace.ts'

const millrace = useCommandLine()
const elsewhere = useCommandLine()

/** A port that nothing listens on. */
const closedPort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

/** No line of a JavaScript stack. */
const STACK = /^\s+at /m

describe('the command line', () => {
  it('says its version and its commands', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
    expect(await millrace.run('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
    const { code, stdout } = await millrace.run('--help')
    expect(code).toBe(0)
    for (const command of ['demo', 'run', 'check', 'policies', 'dead-letters'])
      expect(stdout).toContain(command)
  })

  it('has no command and no option that docs/command-line.md does not describe', () => {
    const page = readFileSync(new URL('../../../docs/command-line.md', import.meta.url), 'utf8')
    const missing = (command: ReturnType<typeof commandLine>, path: string): string[] => [
      ...(page.includes(`\`${path}`) ? [] : [path]),
      ...command.options
        .filter(({ long }) => !page.includes(`\`${long}`))
        .map(({ long }) => `${path} ${long}`),
      ...command.commands.flatMap((inner) => missing(inner, `${path} ${inner.name()}`)),
    ]
    expect(missing(commandLine(), 'millrace')).toEqual([])
  })

  it('refuses arguments that it does not know, and says what is wrong with them', async () => {
    const cases: [string[], string][] = [
      [['walk'], "unknown command 'walk'"],
      [['run'], "missing required argument 'pipeline'"],
      [['run', 'decide', '--nope'], "unknown option '--nope'"],
      [['dead-letters', 'list', '--limit', '0'], 'it must be a whole number above 0'],
      [['dead-letters', 'replay', '--from-offset', 'x:1'], 'it must be an offset, or partition:offset'],
    ]
    await Promise.all(
      cases.map(async ([args, message]) => {
        const { code, stderr } = await millrace.run(...args)
        expect({ args, code }).toEqual({ args, code: 1 })
        expect(stderr).toContain(message)
        expect(stderr).not.toMatch(STACK)
      }),
    )
  })

  it('refuses a pipeline that there is not, naming those that there are', async () => {
    const { code, stderr } = await millrace.run('run', 'decode')
    expect(code).toBe(1)
    expect(stderr).toBe(
      'INVALID_CONFIG: there is no pipeline "decode": there are decide, attribute, record, tag, retrain, challenge, serve\n',
    )
  })

  it('refuses a wrong configuration with the exact path, mappings included', async () => {
    millrace.write(
      'wrong.yaml',
      [
        'kafka: { broker: [a:1] }',
        'sources:',
        '  - { topic: clicks, event: reward, fields: { requestId: $.id, value: $.v, occurredAt: $.t, colour: $.c } }',
      ].join('\n'),
    )
    const { code, stderr } = await millrace.run('run', 'decide', '--config', 'wrong.yaml')
    expect(code).toBe(1)
    expect(stderr).toContain('INVALID_CONFIG: 2 problems')
    expect(stderr).toContain('kafka.broker: unknown key: did you mean "brokers"?, line 1')
    expect(stderr).toContain('sources[0].fields.colour: unknown field')
    expect(stderr).not.toMatch(STACK)
  })

  it('finds millrace.yaml where it is called, and names a file that is not there', async () => {
    const { code, stdout } = await millrace.run('check', '--config', 'nowhere.yaml')
    expect(code).toBe(1)
    expect(stdout).toContain('FAIL configuration: INVALID_CONFIG: cannot read the configuration nowhere.yaml')
    elsewhere.write('millrace.yaml', 'kafka: { adapter: memory }')
    expect((await elsewhere.run('check')).stdout).toContain('ok   configuration: millrace.yaml')
  })

  it('does not look for the topics of another process in memory', async () => {
    millrace.write('memory.yaml', 'kafka: { adapter: memory }')
    const commands = [
      ['policies', 'list'],
      ['policies', 'apply'],
      ['dead-letters', 'list'],
      ['dead-letters', 'replay'],
      ['explain', 'r-1'],
    ]
    await Promise.all(
      commands.map(async (args) => {
        const { code, stderr } = await millrace.run(...args, '--config', 'memory.yaml')
        expect({ args, code }).toEqual({ args, code: 1 })
        expect(stderr).toMatch(/^INVALID_CONFIG: kafka.adapter: memory/)
      }),
    )
  })

  it('says of a Kafka that is away what to start, with a code and no stack', async () => {
    const port = await closedPort()
    millrace.write(
      'away.yaml',
      `kafka: { brokers: ['127.0.0.1:${port}'], patience: 1500ms }\nhttp: { port: 0 }`,
    )
    const commands = [
      ['run', 'all'],
      ['policies', 'list'],
      ['dead-letters', 'list'],
    ]
    await Promise.all(
      commands.map(async (args) => {
        const { code, stderr } = await millrace.run(...args, '--config', 'away.yaml')
        expect({ args, code }).toEqual({ args, code: 1 })
        expect(stderr).toContain(`KAFKA_UNAVAILABLE: Kafka at 127.0.0.1:${port} did not answer`)
        expect(stderr).toContain('does not answer yet: start it, or correct kafka.brokers')
        expect(stderr).not.toMatch(STACK)
        // Told seldom, whatever the client library repeats.
        expect(stderr.split('\n').length).toBeLessThan(12)
      }),
    )
  })
})
