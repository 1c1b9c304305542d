/** Kafka over TLS with SASL, through the adapter: who may come in does, who may not is told why. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createConfluentBroker } from '../../../infra/kafka/confluent/broker.ts'
import type { KafkaConnectionOptions, KafkaSasl } from '../../../infra/kafka/connection.ts'
import { createKafkajsBroker } from '../../../infra/kafka/kafkajs/broker.ts'
import { type LocalKafka, startLocalKafka } from '../../../infra/kafka/local.ts'
import type { Broker } from '../../../infra/kafka/port.ts'
import { kafkaMissing } from '../../kafka-server.ts'
import { confluentLibrary } from './confluent-library.ts'

const run = promisify(execFile)
const KEY_STORE_PASSWORD = 'key-store-secret'
const PASSWORD = 'wonder-land'

/** A key store with a self-signed certificate for 127.0.0.1, and that certificate as PEM. */
const makeCertificate = async (folder: string) => {
  const keyStore = join(folder, 'broker.p12')
  const pem = join(folder, 'broker.pem')
  const store = ['-keystore', keyStore, '-storepass', KEY_STORE_PASSWORD, '-alias', 'broker']
  await run('keytool', [
    ...['-genkeypair', '-keyalg', 'EC', '-storetype', 'PKCS12', '-validity', '2', '-dname', 'CN=127.0.0.1'],
    ...['-ext', 'san=ip:127.0.0.1', ...store],
  ])
  await run('keytool', ['-exportcert', '-rfc', '-file', pem, ...store])
  return { keyStore, ca: await readFile(pem, 'utf8') }
}

/** An unsecured JSON Web Signature, as Kafka's development validator takes them. */
const unsecuredToken = (subject: string) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  return `${part({ alg: 'none' })}.${part({ sub: subject, iat: now, exp: now + 3600 })}.`
}

describe.skipIf(kafkaMissing)('Kafka with TLS and SASL', () => {
  let folder = ''
  let ca = ''
  let kafka: LocalKafka
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-test-'))
    const certificate = await makeCertificate(folder)
    ca = certificate.ca
    kafka = await startLocalKafka({
      security: {
        tls: { keyStore: certificate.keyStore, password: KEY_STORE_PASSWORD },
        sasl: {
          mechanisms: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'],
          users: { alice: PASSWORD },
        },
      },
    })
  }, 120_000)
  afterAll(async () => {
    await kafka?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  type Options = Omit<KafkaConnectionOptions, 'brokers'>
  const reached = (options: Options) => ({ brokers: [kafka.bootstrap], patienceMs: 15_000, ...options })
  const connect = (options: Options) => createKafkajsBroker(reached(options))

  const mechanisms: [string, () => KafkaSasl][] = [
    ['PLAIN', () => ({ mechanism: 'plain', username: 'alice', password: PASSWORD })],
    ['SCRAM-SHA-256', () => ({ mechanism: 'scram-sha-256', username: 'alice', password: PASSWORD })],
    ['SCRAM-SHA-512', () => ({ mechanism: 'scram-sha-512', username: 'alice', password: PASSWORD })],
    ['OAUTHBEARER', () => ({ mechanism: 'oauthbearer', token: async () => unsecuredToken('alice') })],
  ]

  const writeCommitRead = async (name: string, broker: Broker) => {
    const topic = `secured-${name.toLowerCase()}`
    await broker.admin.create([{ topic, partitions: 1 }])
    const writer = await broker.writer()
    await writer.send([{ topic, key: null, value: Buffer.from('x') }])
    const values: string[] = []
    await new Promise<void>((done, failed) => {
      broker.tasks({ app: 'secured', job: name, topics: [topic] }).subscribe({
        next: (task) =>
          task.batches.subscribe({
            next: (batch) => {
              values.push(...batch.records.map(({ value }) => String(value)))
              const positions = new Map([[topic, { offset: batch.nextOffset }]])
              task.commit({ outputs: [], positions }).then(done, failed)
            },
            error: failed,
          }),
        error: failed,
      })
    })
    expect(values).toEqual(['x'])
    await broker.close()
  }

  it.each(mechanisms)('lets the right credentials write, commit and read: %s', async (name, sasl) => {
    await writeCommitRead(name, await connect({ ssl: { ca }, sasl: sasl() }))
  })

  it.skipIf(!confluentLibrary).each(mechanisms)('does so over librdkafka: %s', async (name, sasl) => {
    const options = reached({ ssl: { ca }, sasl: sasl() })
    await writeCommitRead(`${name}-librdkafka`, await createConfluentBroker(options, confluentLibrary))
  })

  it.each(['plain', 'scram-sha-256'] as const)('refuses a wrong password at once: %s', async (mechanism) => {
    const sasl = { mechanism, username: 'alice', password: 'guessed-wrongly' }
    const refusal = await connect({ ssl: { ca }, sasl }).catch((error: unknown) => error)
    expect(refusal).toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      message: expect.stringMatching(/refused.*authentication/i),
    })
    expect(String(refusal)).not.toContain('guessed-wrongly')
  })

  it('refuses a broker whose certificate nobody vouches for', async () => {
    const sasl = { mechanism: 'plain', username: 'alice', password: PASSWORD } as const
    await expect(connect({ ssl: true, sasl })).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      message: expect.stringMatching(/refused.*certificate/i),
    })
  })
})
