/** `millrace policies promote` and `demote`, as their users run them, on a real Kafka. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { acquireKafka, type KafkaServer, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { useCommandLine } from './millrace.ts'

const PREFIX = `cli-${randomBytes(4).toString('hex')}.`

describe.skipIf(kafkaMissing !== '')('promotion on the command line', () => {
  const millrace = useCommandLine()
  let kafka: KafkaServer

  beforeAll(async () => {
    kafka = await acquireKafka()
  })
  afterAll(async () => {
    if (kafka) await releaseKafka()
  })

  const configure = (policy: string): void =>
    millrace.write(
      'millrace.yaml',
      [
        `app: ${PREFIX}app`,
        `kafka: { brokers: ['${kafka.bootstrap}'] }`,
        `topics: { prefix: '${PREFIX}', partitions: 2 }`,
        'policies:',
        `  - { name: homepage, ${policy} }`,
        '',
      ].join('\n'),
    )
  const policies = (...args: string[]) => millrace.run('policies', ...args)

  it('promotes what is in shadow, and gives back in one command', async () => {
    configure('algorithm: { kind: linUcb }, features: { dense: 2 }')
    await policies('apply', '--create-topics')
    expect(await policies('demote', 'homepage')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('INVALID_CONFIG: "homepage" has no live version below version 1'),
    })
    configure('algorithm: { kind: linUcb, lambda: 3 }, features: { dense: 2 }, promote: { alpha: 0.01 }')
    expect((await policies('apply')).stdout).toMatch(
      /homepage version 2 \(\w+\) is in shadow.*promote homepage --version 2/,
    )
    const promoted = await policies('promote', 'homepage', '--version', '2')
    expect(promoted).toMatchObject({ code: 0 })
    expect(promoted.stdout).toMatch(
      /^homepage: version 2 \(\w+\) decides, version 1 \(\w+\) does no more; .*at once\n$/,
    )
    expect((await policies('list')).stdout).toMatch(/homepage +1 +live .*\nhomepage +2 +live /)
    expect((await policies('demote', 'homepage')).stdout).toMatch(
      /^homepage: version 1 .* decides, version 2 /,
    )
    expect((await policies('list')).stdout).toMatch(/homepage +1 +live .*\nhomepage +2 +shadow /)
    // The configuration still agrees with the log.
    expect((await policies('apply')).stdout).toContain('nothing to write')

    configure('algorithm: { kind: linUcb }, features: { names: [x] }, partitions: 2')
    await policies('apply')
    const named = ['promote', 'homepage', '--version', '3']
    expect(await policies(...named)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('COLD_STATE: '),
    })
    expect((await policies(...named, '--cold')).stdout).toMatch(
      /split otherwise: reload \(SIGHUP\) .* attribute\n$/,
    )
  })
})
