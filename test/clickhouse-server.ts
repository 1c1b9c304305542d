/**
 * The ClickHouse server of the integration tests: one embedded server a test file, begun at first use and ended with the file;
 * `MILLRACE_TEST_CLICKHOUSE` (with `…_USER` and `…_PASSWORD`) names another. Where neither can be had the tests are skipped and say so,
 * and fail under `MILLRACE_REQUIRE_SERVERS=1`. Each database is fresh and dropped at the end.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, describe, type SuiteFactory } from 'vitest'
import { type ClickHouse, type ClickHouseOptions, connectClickHouse } from '../infra/clickhouse/connect.ts'
import {
  type EmbeddedClickHouse,
  embeddedClickHouseAvailable,
  startEmbeddedClickHouse,
} from '../infra/clickhouse/embedded.ts'
import { migrate } from '../infra/clickhouse/migrations.ts'

const given = process.env['MILLRACE_TEST_CLICKHOUSE']
const available = given !== undefined || embeddedClickHouseAvailable()
const embedded = given === undefined && embeddedClickHouseAvailable()

const suite = (name: string, possible: boolean, body: SuiteFactory): void => {
  if (!possible && process.env['MILLRACE_REQUIRE_SERVERS'] === '1') {
    throw new Error(`${name}: needs ClickHouse, which is not available here (MILLRACE_REQUIRE_SERVERS=1)`)
  }
  if (!possible) console.warn(`SKIPPED, no ClickHouse here: ${name}`)
  describe.skipIf(!possible)(name, body)
}

/** A suite that needs some ClickHouse server. */
export const describeWithClickHouse = (name: string, body: SuiteFactory): void => suite(name, available, body)

/** A suite that needs the embedded server itself. */
export const describeWithEmbeddedClickHouse = (name: string, body: SuiteFactory): void =>
  suite(name, embedded, body)

export interface TestClickHouse {
  /** Where it is and who may write. */
  options(): Promise<ClickHouseOptions>
  /** A connection to a new database, closed and dropped after the file's tests; migrated unless `migrated` is false. */
  open(migrated?: boolean): Promise<ClickHouse>
}

/** The server of a suite: call at its top. The server is started by the first test that asks, and ended after the last. */
export const useClickHouse = (): TestClickHouse => {
  let server: Promise<EmbeddedClickHouse> | undefined
  const opened: ClickHouse[] = []
  const options = async (): Promise<ClickHouseOptions> => {
    if (given !== undefined) {
      const username = process.env['MILLRACE_TEST_CLICKHOUSE_USER'] ?? 'default'
      return { url: given, username, password: process.env['MILLRACE_TEST_CLICKHOUSE_PASSWORD'] ?? '' }
    }
    server ??= startEmbeddedClickHouse()
    const { url, username, password } = await server
    return { url, username, password }
  }
  afterAll(async () => {
    for (const ch of opened) {
      if (given !== undefined) await ch.command(`DROP DATABASE IF EXISTS ${ch.database} SYNC`)
      await ch.close()
    }
    await (await server)?.stop()
  })
  return {
    options,
    open: async (migrated = true) => {
      const database = `millrace_test_${randomBytes(6).toString('hex')}`
      const ch = await connectClickHouse({ ...(await options()), database })
      opened.push(ch)
      // Tests use fixed dates, which must not grow too old to be kept.
      if (migrated) await migrate(ch, { eventDays: 10_000, rollupDays: 10_000 })
      return ch
    },
  }
}
