/** Challengers beside the champion: judged live as the log alone says, promoted and demoted while deciders run, by hand and by their test. */
import { lastValueFrom } from 'rxjs'
import { expect, test } from 'vitest'
import { loadConfig } from '../../infra/config/load.ts'
import type { Config } from '../../infra/config/schema.ts'
import { ProgressiveEvaluation } from '../../operators/bandits/evaluation/progressive.ts'
import { SequentialTest } from '../../operators/bandits/evaluation/sequential-test.ts'
import { PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { whereDecides } from '../../operators/bandits/state/versions.ts'
import { replay } from '../../pipelines/replay.ts'
import { learnFrom, openStates } from '../../pipelines/states/learn.ts'
import { applyDefinitions } from '../../pipelines/states/policies.ts'
import { demote, promote } from '../../pipelines/states/promotion.ts'
import { readSnapshots } from '../../pipelines/states/snapshot-log.ts'
import type { Metric, Outcome, PolicyDefinition } from '../../schemas/generated/events.ts'
import {
  describeOnClusters,
  failureCode,
  learnIfSound,
  POLICIES,
  type Stage,
  type StageOptions,
} from './harness.ts'
import { expectReplayed, ids, playRound } from './rounds.ts'

const TIMEOUT = { timeout: 120_000 }
const [DENSE] = POLICIES
/** Every reward of a round lies in it. */
const PROMOTE = { alpha: 0.1, minimum: 50, rewards: [0, 1.5] }

const options = (of: object = {}, more: Readonly<Record<string, unknown>> = {}): StageOptions => ({
  overrides: { policies: [{ ...DENSE, promote: PROMOTE, ...of }], 'metrics.interval': '100ms', ...more },
})

/** The stage's configuration with its policy defined otherwise. */
const configured = ({ config }: Stage, of: object): Config => ({
  ...config,
  policies: loadConfig({ env: {}, overrides: { policies: [{ ...DENSE, promote: PROMOTE, ...of }] } })
    .policies,
})

const withLambda = (lambda: number) => ({ algorithm: { ...DENSE.algorithm, lambda } })

/** The numbers of `dense` alone: others are requests of another policy. */
const round = (stage: Stage, first: number, count: number) =>
  playRound(
    stage,
    ids(first, count).filter((id) => id % 3 !== 0),
  )

/** The newest figures of a version, by name and label. */
const figuresOf = async (stage: Stage, version: number): Promise<Record<string, number>> => {
  const metrics = (await stage.events('metric')).map(({ event }) => event)
  const own = metrics.filter(
    ({ name, labels }) => name.startsWith('challenge_') && labels['version'] === `${version}`,
  )
  const key = ({ name, labels }: Metric) =>
    [name.slice('challenge_'.length), labels['estimator'] ?? labels['side'] ?? labels['code']]
      .filter(Boolean)
      .join(' ')
  return Object.fromEntries(own.sort((a, b) => a.at - b.at).map((metric) => [key(metric), metric.value]))
}

/** What the log alone says of a challenger. */
const judged = async (stage: Stage, definition: PolicyDefinition) => {
  const requests = await stage.events('decision-request')
  const table = new PolicyTable([{ ...definition, mode: 'live', effectiveFrom: 0 }])
  const evaluation = new ProgressiveEvaluation(table.get('dense')!)
  const sequential = new SequentialTest([0, 1.5])
  for (const { event, offset } of await stage.events('outcome')) {
    if (offset < definition.effectiveFrom) continue
    const request = requests.find(
      (each) => each.partition === event.requestPartition && each.offset === event.requestOffset,
    )!
    const weight = evaluation.step(request.event, event)!
    if (event.policyVersion === 1 && event.occurredAt >= definition.appliedAt)
      sequential.add(weight, event.reward)
  }
  return { report: evaluation.report, verdict: sequential.report(0.1), learned: table.get('dense')!.learned }
}

const versionsOf = (decisions: Awaited<ReturnType<typeof playRound>>): number[] => [
  ...new Set(decisions.map(({ event }) => event.policyVersion)),
]

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

/** The fold of a version's state, from the log alone. */
const folded = async (stage: Stage, version: number): Promise<string> => {
  const table = new PolicyTable(whereDecides(await stage.definitions(), { policy: 'dense', version }))
  for (const found of await stage.events('outcome')) learnIfSound(table, found)
  return base64(table.save('dense').bytes)
}

/** The states that a process holds that starts now, by version. */
const held = async (
  stage: Stage,
  config: Config,
): Promise<Record<number, { bytes: string; offset: number }>> => {
  const process = await stage.process({ config })
  const { states, ends } = await openStates(process)
  await lastValueFrom(learnFrom(process, states, ends), { defaultValue: null })
  return Object.fromEntries(
    [...states.table.held()].map(({ name, version, stateHash, offsets }) => [
      version,
      { bytes: base64(states.table.save(name, stateHash).bytes), offset: offsets[0]! },
    ]),
  )
}

describeOnClusters('challenge', (open, kind) => {
  test(
    'judges a shadow by the outcomes that the live version earns, as the log alone says',
    TIMEOUT,
    async () => {
      const stage = await open(options())
      stage.start(['decide', 'attribute'])
      await round(stage, 0, 60)
      const other = await stage.process({ config: configured(stage, withLambda(20)) })
      const [shadow] = await applyDefinitions(other)
      expect(shadow).toMatchObject({ version: 2, mode: 'shadow', effectiveFrom: expect.any(Number) })
      const first = stage.start(['challenge'], other)
      await round(stage, 60, 120)
      const count = 80
      await stage.until('its figures', async () => (await figuresOf(stage, 2))['steps'] === count)
      const check = async () => {
        const { report, verdict, learned } = await judged(stage, shadow!)
        expect(learned).toBe(report.steps)
        await stage.until(
          'the figures of the log',
          async () => (await figuresOf(stage, 2))['steps'] === report.steps,
        )
        const figures = await figuresOf(stage, 2)
        expect(figures).toMatchObject({
          'estimate logged': report.logged.value,
          'estimate ips': report.ips.value,
          'estimate snips': report.snips.value,
          'estimate dr': report.dr.value,
          effective_sample_size: report.effectiveSampleSize,
          largest_weight: report.maxWeight,
          'estimate difference': verdict.difference,
          'low difference': verdict.lower,
          'high difference': verdict.upper,
          'log_e better': verdict.logBetter,
          tested: verdict.steps,
          outside: 0,
        })
        expect(figures['low snips']).toBeLessThan(report.snips.value)
        expect(verdict.steps).toBe(report.steps)
      }
      await check()
      // What has been judged is kept nowhere: another process folds it again.
      await first.stop()
      const metrics = (await stage.events('metric')).length
      stage.start(['challenge'], await stage.process({ config: configured(stage, withLambda(20)) }))
      await stage.until('them again', async () => (await stage.events('metric')).length > metrics)
      await check()
      await round(stage, 180, 30)
      await stage.until('more', async () => (await figuresOf(stage, 2))['steps'] === count + 20)
      await check()
    },
  )

  test(
    'promoted by hand it decides in deciders that run, with the state that it learned in shadow; demoted, the one before does',
    TIMEOUT,
    async () => {
      const stage = await open(options({}, { 'snapshots.every': 20 }))
      stage.start(['decide', 'attribute'])
      await round(stage, 0, 45)
      const other = await stage.process({ config: configured(stage, withLambda(5)) })
      await applyDefinitions(other)
      expect(versionsOf(await round(stage, 45, 45))).toEqual([1])
      const bytes = await Promise.all([folded(stage, 1), folded(stage, 2)])
      expect(bytes[0]).not.toBe(bytes[1])

      const promoted = await promote(other, 'dense')
      expect([promoted.live.version, promoted.former.version]).toEqual([2, 1])
      await taken(stage, 2)
      expect(await Promise.all([folded(stage, 1), folded(stage, 2)])).toEqual(bytes)
      const decisions = await round(stage, 90, 45)
      expect(versionsOf(decisions)).toEqual([2])
      // The configuration that applied it agrees with the log, and so does the fold of who starts now.
      const fresh = await held(stage, other.config)
      expect(fresh[1]!.bytes).toBe(await folded(stage, 1))
      expect(fresh[2]!.bytes).toBe(await folded(stage, 2))

      await demote(other, 'dense')
      await taken(stage, 1)
      expect(versionsOf(await round(stage, 135, 45))).toEqual([1])
      await expectReplayed(stage)
      const [again] = await replay(other, { from: 'beginning', to: 'end' })
      expect(again!.same!.comparison).toMatchObject({ different: false })
      expect(again!.same!.comparison.of('decisions')).toMatchObject({
        equal: await stage.count(stage.topic('outcome')),
        unchecked: {},
      })
      await stage.until('snapshots of both states', async () => {
        const slots = new Set((await readSnapshots(stage.runtime)).map(({ slot }) => Math.floor(slot / 4)))
        return slots.size === 2
      })
      const snapshots = await readSnapshots(stage.runtime)
      for (const { policyVersion, slot } of snapshots) expect(slot < 4 ? [1] : [2]).toContain(policyVersion)
    },
  )

  const memory = kind === 'memory'
  test.runIf(memory)(
    'promoted by its test where that is configured, once it has said so',
    TIMEOUT,
    async () => {
      // The champion takes every arm as often: whoever learns is better.
      const champion = { explorationFloor: 1 }
      const stage = await open(options(champion))
      stage.start(['decide', 'attribute'])
      const challenger = { ...withLambda(2), promote: { ...PROMOTE, automatic: true } }
      const other = await stage.process({ config: configured(stage, challenger) })
      const [shadow] = await applyDefinitions(other)
      stage.start(['challenge'], other)
      let last: Awaited<ReturnType<typeof round>> = []
      for (let i = 0; i < 12 && !versionsOf(last).includes(2); i++) last = await round(stage, 300 * i, 300)
      expect(versionsOf(last)).toContain(2)
      const { verdict } = await judged(stage, shadow!)
      expect(verdict.steps).toBeGreaterThanOrEqual(50)
      expect(verdict.logBetter).toBeGreaterThan(Math.log(10) / 2)
      expect((await stage.definitions()).map(({ version, mode }) => [version, mode])).toEqual([
        [1, 'live'],
        [2, 'live'],
      ])
      // Demoted, it begins anew: what spoke for it before is not counted again.
      await demote(other, 'dense')
      await taken(stage, 1)
      await stage.until('its new figures', async () => ((await figuresOf(stage, 2))['tested'] ?? 0) === 0)
      await round(stage, 6_000, 30)
      expect((await stage.definitions()).map(({ mode }) => mode)).toEqual(['live', 'shadow'])
    },
  )

  test.runIf(memory)(
    'a version with other features is cold: refused, and with leave begins when it decides',
    TIMEOUT,
    async () => {
      const stage = await open(options())
      stage.start(['decide', 'attribute'])
      const other = await stage.process({
        config: configured(stage, { features: { dense: 3 } }),
      })
      await applyDefinitions(other)
      await round(stage, 0, 30)
      const refused = await promote(other, 'dense').catch((error: unknown) => error)
      expect(failureCode(refused)).toBe('COLD_STATE')
      await promote(other, 'dense', { cold: true })
      await taken(stage, 2)
      const [first] = await round(stage, 30, 30)
      expect(first!.event).toMatchObject({ policyVersion: 2, vector: { length: 3 } })
      const states = await held(stage, other.config)
      expect(states[2]!.bytes).toBe(await folded(stage, 2))
      // The champion's state stands where it was, and goes on when it decides again.
      expect(states[1]!.bytes).toBe(await folded(stage, 1))
      await demote(other, 'dense')
      await taken(stage, 1)
      expect(versionsOf(await round(stage, 60, 30))).toEqual([1])
      expect((await held(stage, other.config))[1]!.bytes).toBe(await folded(stage, 1))
      await expectReplayed(stage)
    },
  )

  test.runIf(memory)(
    'an outcome of a version that is nowhere defined is asked for once, and learned by all alike',
    TIMEOUT,
    async () => {
      const stage = await open(options())
      const running = stage.start(['decide', 'attribute'])
      await round(stage, 0, 30)
      const [first] = await stage.events('outcome')
      const strange: Outcome = { ...first!.event, policyVersion: 7, policyHash: 'ffffffffffffffff' }
      await stage.publish('outcome', [strange, strange])
      expect(versionsOf(await round(stage, 30, 30))).toEqual([1])
      const [decision] = await round(stage, 60, 30)
      expect(decision!.event.stateOffset).toBeGreaterThanOrEqual(42)
      await expectReplayed(stage)
      expect(running.failure()).toBeUndefined()
    },
  )

  test.runIf(memory)(
    'what cannot be promoted or gone back to is refused, and nothing is written',
    TIMEOUT,
    async () => {
      const stage = await open(options())
      const { runtime } = stage
      const code = async (work: Promise<unknown>) => failureCode(await work.catch((error: unknown) => error))
      expect(await code(promote(runtime, 'nobody'))).toBe('UNKNOWN_POLICY')
      expect(await code(promote(runtime, 'dense'))).toBe('INVALID_CONFIG')
      expect(await code(demote(runtime, 'dense'))).toBe('INVALID_CONFIG')
      for (const lambda of [2, 3])
        await applyDefinitions(await stage.process({ config: configured(stage, withLambda(lambda)) }))
      const before = await stage.definitions()
      await expect(promote(runtime, 'dense')).rejects.toThrow(/there are 2, 3. Name one with --version/)
      await expect(promote(runtime, 'dense', { version: 1 })).rejects.toThrow(/and not 1/)
      expect(await stage.definitions()).toEqual(before)
      await promote(runtime, 'dense', { version: 3 })
      await expect(promote(runtime, 'dense', { version: 2 })).rejects.toThrow(/above version 3/)
      await demote(runtime, 'dense')
      expect((await stage.definitions()).map(({ mode }) => mode)).toEqual(['live', 'shadow', 'shadow'])
    },
  )

  test.runIf(memory)(
    'an exploration can be tried in shadow as well: it shares the state, and has its own figures',
    TIMEOUT,
    async () => {
      const stage = await open(options())
      stage.start(['decide', 'attribute'])
      await round(stage, 0, 30)
      const other = await stage.process({ config: configured(stage, { explorationFloor: 0.5 }) })
      const [shadow] = await applyDefinitions(other, { shadow: true })
      expect(shadow).toMatchObject({ version: 2, mode: 'shadow' })
      stage.start(['challenge'], other)
      await round(stage, 30, 30)
      await stage.until('its figures', async () => (await figuresOf(stage, 2))['steps'] === 20)
      await promote(other, 'dense')
      await taken(stage, 2)
      const [decision] = await round(stage, 60, 30)
      expect(decision!.event.stateOffset).toBeGreaterThan(40)
      await expectReplayed(stage)
    },
  )
})

/** Waits until decisions are made by a version: a request for it is sent until one is. */
const taken = async (stage: Stage, version: number): Promise<void> => {
  let id = 1_000_000 * version + Math.floor(performance.now())
  await stage.until(`version ${version} to decide`, async () => {
    id += 1
    const name = `r-${String(id).padStart(6, '0')}`
    await stage.publish('decision-request', [
      {
        requestId: name,
        policy: 'dense',
        occurredAt: stage.time,
        context: [0, 0, 0],
        arms: ['a', 'b', 'c'].map((arm) => ({ id: arm, features: null })),
      },
    ])
    let found: number | undefined
    await stage.until('its decision', async () => {
      found = (await stage.events('decision')).find(({ event }) => event.requestId === name)?.event
        .policyVersion
      return found !== undefined
    })
    return found === version
  })
}
