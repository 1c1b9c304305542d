/** ClickHouse away, in every way: recording waits and loses and doubles nothing, and nothing else waits for it. */
import { map, tap } from 'rxjs'
import { afterEach, expect, test } from 'vitest'
import { connectClickHouse } from '../../infra/clickhouse/connect.ts'
import { migrate } from '../../infra/clickhouse/migrations.ts'
import type { Task } from '../../infra/kafka/port.ts'
import { type ClickHouseProxy, type Fault, startClickHouseProxy } from '../clickhouse-proxy.ts'
import { describeWithClickHouse, useClickHouse } from '../clickhouse-server.ts'
import { describeOnClusters, failureCode, type Opening, type Stage } from './harness.ts'
import { ids, playRound } from './rounds.ts'

const TIMEOUT = { timeout: 120_000 }

describeWithClickHouse('recording, ClickHouse away', () => {
  const clickhouse = useClickHouse()
  const closing: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  /** A stage whose processes reach ClickHouse through a proxy. */
  const behindProxy = async (open: Opening): Promise<{ stage: Stage; proxy: ClickHouseProxy }> => {
    const proxy = await startClickHouseProxy((await clickhouse.options()).url)
    closing.push(proxy.close)
    const overrides = { 'clickhouse.url': proxy.url, 'clickhouse.requestTimeout': '400ms' }
    return { stage: await open({ clickhouse, overrides }), proxy }
  }

  /** Rows of the metrics: in the table, different ones, and in the rollup. */
  const counts = async ({ config }: Stage) => {
    const { database } = config.clickhouse
    const direct = await connectClickHouse({ ...(await clickhouse.options()), database })
    try {
      await migrate(direct)
      const [row] = await direct.query<Record<string, string>>(
        'SELECT (SELECT count() FROM metrics) AS rows, (SELECT uniqExact(value) FROM metrics) AS distinct, (SELECT sum(values) FROM metrics_per_minute) AS rolled',
      )
      return Object.values(row!).map(Number)
    } finally {
      await direct.close()
    }
  }

  const publish = (stage: Stage, first: number, count: number) =>
    stage.publish(
      'metric',
      Array.from({ length: count }, (_, i) => ({
        name: `m${i}`,
        value: first + i,
        labels: {},
        at: stage.time,
      })),
    )

  const expectRows = async (stage: Stage, count: number) => {
    await stage.until('the rows', async () => (await counts(stage)).every((n) => n >= count))
    expect(await counts(stage)).toEqual([count, count, count])
  }

  const reason = ({ runtime }: Stage): string | undefined => runtime.health.report().reasons['clickhouse']

  const WAYS: readonly (readonly [string, Fault, RegExp])[] = [
    ['refusing', 'refused', /did not take/],
    ['hanging', 'hanging', /did not take/],
    ['taking blocks and losing the answers', 'lost', /did not take/],
    ['with too many parts', { error: 'Too many parts (300). (TOO_MANY_PARTS)' }, /TOO_MANY_PARTS/],
    ['read-only', { error: 'Table is in readonly mode. (TABLE_IS_READ_ONLY)' }, /READ_ONLY/],
    ['set read-only', { error: 'Cannot execute query in readonly mode. (READONLY)' }, /READONLY/],
    ['without space', { error: 'Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)' }, /SPACE/],
    [
      'on a full disk',
      { error: 'Cannot write: errno: 28, strerror: No space left on device. (CANNOT_CREATE_FILE)' },
      /No space left/,
    ],
    ['out of memory', { error: 'Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)' }, /MEMORY_LIMIT/],
  ]

  describeOnClusters('record', (open, kind) => {
    test('waits however it is away, and has everything once when it is back', TIMEOUT, async () => {
      const { stage, proxy } = await behindProxy(open)
      stage.start(['record'])
      await publish(stage, 0, 40)
      await expectRows(stage, 40)
      let published = 40
      for (const [way, fault, says] of kind === 'memory' ? WAYS : WAYS.slice(0, 3)) {
        proxy.fault = fault
        const before = proxy.struck
        await publish(stage, published, 40)
        published += 40
        await stage.until(`${way}, it was tried again`, () => proxy.struck >= before + 3)
        await stage.until(`${way}, not ready`, () => says.test(reason(stage) ?? ''))
        proxy.fault = null
        await expectRows(stage, published)
        await stage.until(`after ${way}, ready`, () => reason(stage) === undefined)
      }
    })

    test(
      'stopped while it is away, it ends in order, and what was planned is recorded by the next',
      TIMEOUT,
      async () => {
        for (const fault of ['refused', 'hanging', 'lost'] as const) {
          const { stage, proxy } = await behindProxy(open)
          const first = stage.start(['record'])
          await publish(stage, 0, 40)
          await expectRows(stage, 40)
          proxy.fault = fault
          await publish(stage, 40, 40)
          await stage.until('it was tried again', () => proxy.struck >= 3)
          await first.stop()
          expect(first.failure()).toBeUndefined()
          const topic = stage.topic('metric')
          const committed = await stage.runtime.broker.admin.committed(stage.config.app, 'record', [topic])
          const plans = [...committed.get(topic)!.values()].filter(({ metadata }) => metadata !== '')
          expect(plans.length).toBeGreaterThan(0)
          const next = stage.start(['record'], await stage.process())
          await publish(stage, 80, 40)
          proxy.fault = null
          await expectRows(stage, 120)
          await next.stop()
        }
      },
    )

    test('away at the start, it is waited for, and decisions and outcomes go on', TIMEOUT, async () => {
      const { stage, proxy } = await behindProxy(open)
      proxy.fault = 'refused'
      const recording = stage.start(['record'])
      stage.start(['decide', 'attribute'])
      await stage.until('the reason', () => /did not take a connection/.test(reason(stage) ?? ''))
      await playRound(stage, ids(0, 30))
      expect(recording.progress).toEqual([])
      proxy.fault = null
      await publish(stage, 0, 40)
      await expectRows(stage, 40)
      await stage.until('ready', () => reason(stage) === undefined)
    })
  })

  describeOnClusters(
    'record',
    (open) => {
      test('pulls no more while it is away', TIMEOUT, async () => {
        const { stage, proxy } = await behindProxy(open)
        const process = await stage.process()
        let batches = 0
        const counting = {
          ...process,
          broker: {
            ...process.broker,
            tasks: (options: Parameters<typeof process.broker.tasks>[0]) =>
              process.broker.tasks(options).pipe(
                map(
                  (task): Task =>
                    new Proxy(task, {
                      get: (of, key) => {
                        const value: unknown = Reflect.get(of, key)
                        if (key === 'batches')
                          return of.batches.pipe(tap(({ records }) => void (records.length > 0 && batches++)))
                        return typeof value === 'function' ? value.bind(of) : value
                      },
                    }),
                ),
              ),
          },
        }
        stage.start(['record'], counting)
        await publish(stage, 0, 40)
        await expectRows(stage, 40)
        proxy.fault = 'refused'
        await publish(stage, 40, 400)
        await stage.until('it was tried again', () => proxy.struck >= 4)
        const before = batches
        for (let more = 0; more < 20; more++) await publish(stage, 440 + 40 * more, 40)
        await stage.until('it was tried on', () => proxy.struck >= 8)
        // At most the block under way and the batch that waits behind it, in each of four tasks.
        expect(batches - before).toBeLessThanOrEqual(4)
        proxy.fault = null
        await expectRows(stage, 1_240)
      })

      test('refused for good, it fails loudly', TIMEOUT, async () => {
        const { stage, proxy } = await behindProxy(open)
        const running = stage.start(['record'])
        await publish(stage, 0, 40)
        await expectRows(stage, 40)
        proxy.fault = { error: 'Table millrace.metrics does not exist. (UNKNOWN_TABLE)' }
        await publish(stage, 40, 40)
        expect(failureCode(await running.failed())).toBe('CLICKHOUSE_REFUSED')
      })
    },
    ['memory'],
  )
})
