/**
 * The adapter over librdkafka on a real Apache Kafka: the contract of every broker. Its package is optional: it is taken from
 * node_modules, or from the folder that MILLRACE_CONFLUENT names; without it the tests are skipped, loudly, always.
 */
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createConfluentBroker } from '../../../infra/kafka/confluent/broker.ts'
import { type Library, loadLibrary, PACKAGE } from '../../../infra/kafka/confluent/library.ts'
import { type BrokerHarness, describeBroker } from '../../contracts/broker.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { apacheKafka, describeAdapter } from './apache-kafka.ts'

const folder = process.env['MILLRACE_CONFLUENT'] ?? ''

const library: Library | undefined = await (async () => {
  try {
    const from = createRequire(folder === '' ? import.meta.url : path.resolve(folder, 'package.json'))
    return await loadLibrary(pathToFileURL(from.resolve(PACKAGE)).href)
  } catch (error) {
    console.warn(`SKIPPED: tests of the adapter over librdkafka. ${(error as Error).message}`)
    return undefined
  }
})()

describe.skipIf(kafkaMissing || !library)('confluent', () => {
  let bootstrap = ''
  const harness: BrokerHarness = {
    patienceMs: 20_000,
    connect: () => createConfluentBroker({ brokers: [bootstrap] }, library),
    ...apacheKafka(() => bootstrap),
  }

  beforeAll(async () => {
    bootstrap = (await acquireKafka()).bootstrap
  })
  afterAll(releaseKafka)

  describeBroker('librdkafka on Apache Kafka', harness)
  describeAdapter(harness)
})

describe('without its package', () => {
  it('says what to install', async () => {
    await expect(loadLibrary('@confluentinc/no-such-package')).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringContaining(`npm install ${PACKAGE}`),
    })
  })
})
