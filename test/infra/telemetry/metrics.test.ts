import { afterEach, describe, expect, it } from 'vitest'
import { createMetrics, type Metrics } from '../../../infra/telemetry/metrics.ts'

describe('metrics', () => {
  let metrics: Metrics
  afterEach(() => metrics.close())

  /** The samples of a metric, by labels. */
  const samples = async (name: string): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await metrics.text())
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .map((line) => {
          const space = line.lastIndexOf(' ')
          return [line.slice(name.length, space), Number(line.slice(space))]
        }),
    )

  it('count by job and code', async () => {
    metrics = createMetrics()
    const decide = metrics.job('decide')
    decide.received(10)
    decide.received(5)
    decide.sent(7)
    decide.deadLetter('UNKNOWN_POLICY')
    decide.deadLetter('MALFORMED_AVRO', 2)
    decide.committed(0.02)
    expect(await samples('millrace_events_in_total')).toEqual({ '{job="decide"}': 15 })
    expect(await samples('millrace_events_out_total')).toEqual({ '{job="decide"}': 7 })
    expect(await samples('millrace_commits_total')).toEqual({ '{job="decide"}': 1 })
    expect(await samples('millrace_dead_letters_total')).toEqual({
      '{job="decide",code="UNKNOWN_POLICY"}': 1,
      '{job="decide",code="MALFORMED_AVRO"}': 2,
    })
    expect(await samples('millrace_batch_seconds_sum')).toEqual({ '{job="decide"}': 0.02 })
  })

  it('tell decisions of microseconds apart', async () => {
    metrics = createMetrics()
    const job = metrics.job('decide')
    for (const microseconds of [1.5, 8, 8, 80]) job.decided(microseconds / 1e6)
    const buckets = await samples('millrace_decide_seconds_bucket')
    expect(buckets['{le="0.000002"}']).toBe(1)
    expect(buckets['{le="0.00001"}']).toBe(3)
    expect(buckets['{le="0.0001"}']).toBe(4)
  })

  it('count why decisions and rewards made no outcome, and tell how far a policy has learned', async () => {
    metrics = createMetrics()
    metrics.job('attribute').reason('late-reward', 3)
    expect(await samples('millrace_join_reasons_total')).toEqual({
      '{job="attribute",reason="late-reward"}': 3,
    })
    metrics.policy('homepage').stateOffset(42)
    metrics.policy('homepage').snapshotOffset(40)
    expect(await samples('millrace_policy_state_offset')).toEqual({ '{policy="homepage"}': 42 })
    expect(await samples('millrace_snapshot_offset')).toEqual({ '{policy="homepage"}': 40 })
  })

  it('show ledgers and what is missing in them, over the partitions that are here', async () => {
    metrics = createMetrics()
    const join = metrics.job('attribute')
    join.ledger(0, 'rewards', { taken: 10, used: 6, pending: 1, reasons: { duplicate: 2, late: 1 } })
    expect(await samples('millrace_ledger')).toEqual({
      '{job="attribute",partition="0",kind="rewards",part="taken"}': 10,
      '{job="attribute",partition="0",kind="rewards",part="used"}': 6,
      '{job="attribute",partition="0",kind="rewards",part="pending"}': 1,
      '{job="attribute",partition="0",kind="rewards",part="reasons"}': 3,
    })
    expect(await samples('millrace_ledger_imbalance')).toEqual({ '{job="attribute",kind="rewards"}': 0 })
    join.ledger(1, 'rewards', { taken: 10, used: 6, pending: 1, reasons: {} })
    join.ledger(1, 'decisions', { taken: 2, used: 2, pending: 0, reasons: {} })
    expect(await samples('millrace_ledger_imbalance')).toEqual({
      '{job="attribute",kind="rewards"}': 3,
      '{job="attribute",kind="decisions"}': 0,
    })
    join.forget(1)
    expect(await samples('millrace_ledger_imbalance')).toEqual({ '{job="attribute",kind="rewards"}': 0 })
    join.forget(0)
    expect(await samples('millrace_ledger')).toEqual({})
    expect(await samples('millrace_ledger_imbalance')).toEqual({})
  })

  it('count configurations that were read again', async () => {
    metrics = createMetrics()
    metrics.reloaded('applied')
    metrics.reloaded('refused')
    metrics.reloaded('refused')
    expect(await samples('millrace_config_reloads_total')).toEqual({
      '{result="applied"}': 1,
      '{result="refused"}': 2,
    })
  })

  it('forget the gauges of a partition that left', async () => {
    metrics = createMetrics()
    const join = metrics.job('attribute')
    for (const partition of [0, 1]) {
      join.lag('decisions', partition, 5)
      join.lag('rewards', partition, 6)
      join.pending(partition, 9)
    }
    join.forget(0)
    expect(await samples('millrace_lag_records')).toEqual({
      '{job="attribute",topic="decisions",partition="1"}': 5,
      '{job="attribute",topic="rewards",partition="1"}': 6,
    })
    expect(await samples('millrace_join_pending')).toEqual({ '{job="attribute",partition="1"}': 9 })
  })

  it('hold registries apart, and include the process', async () => {
    const other = createMetrics()
    other.job('x').received(1)
    metrics = createMetrics()
    expect(await samples('millrace_events_in_total')).toEqual({})
    expect(await metrics.text()).toContain('process_resident_memory_bytes ')
    other.close()
  })

  it('see an event loop that is held up', async () => {
    metrics = createMetrics()
    const turn = () => new Promise((resolve) => setTimeout(resolve, 20))
    const until = async (holds: () => boolean) => {
      const deadline = performance.now() + 5_000
      while (!holds() && performance.now() < deadline) await turn()
    }
    await until(() => metrics.loopDelayP99Ms() > 0)
    metrics.resetLoopDelay()
    expect(metrics.loopDelayP99Ms()).toBe(0)
    // The first sample after a reset only marks the time.
    await until(() => metrics.loopDelayP99Ms() > 0)
    const end = performance.now() + 150
    while (performance.now() < end);
    await until(() => metrics.loopDelayP99Ms() > 100)
    expect(metrics.loopDelayP99Ms()).toBeGreaterThan(100)
  })
})
