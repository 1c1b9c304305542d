/** The way out: what cannot be written becomes a dead letter, what must be written and cannot be stops the task. */
import { expect, test } from 'vitest'
import type { Decision } from '../../schemas/generated/events.ts'
import { describeOnClusters, failureCode, WINDOW_MS } from './harness.ts'
import { anyRequest, denseRequest, expectReplayed, ids, playRound } from './rounds.ts'

const TIMEOUT = { timeout: 120_000 }
const manyArms = (count: number) => ids(0, count).map((id) => ({ id: `arm-${id}`, features: null }))

describeOnClusters('delivery', (open) => {
  test(
    'a dead letter that cannot be written stops the task loudly, its position where it was',
    TIMEOUT,
    async () => {
      const stage = await open({ maxMessageBytes: { 'dead-letter': 1_000 } })
      const topic = stage.topic('decision-request')
      const position = async () =>
        (await stage.runtime.broker.admin.committed(stage.config.app, 'decide', [topic])).get(topic)?.get(0)
          ?.offset ?? 0
      const good = stage.runtime.codec.encode('decision-request', denseRequest(stage, 1))
      await stage.send([{ topic, partition: 0, key: null, value: good }])
      const running = stage.start(['decide'])
      await stage.eventually('decision', 1)
      await stage.until('its position', async () => (await position()) === 1)
      await stage.send([
        { topic, partition: 0, key: null, value: Buffer.alloc(2_000, 1) },
        { topic, partition: 0, key: null, value: good },
      ])
      expect(failureCode(await running.failed())).toBe('DEAD_LETTER_FAILED')
      expect(await position()).toBe(1)
      expect(await stage.count(stage.topic('decision'))).toBe(1)
      // Nor does it come through by trying again.
      expect(failureCode(await stage.start(['decide'], await stage.process()).failed())).toBe(
        'DEAD_LETTER_FAILED',
      )
      expect(await position()).toBe(1)
    },
  )

  test(
    'a decision larger than its topic takes makes a dead letter of its request; the rest of the batch goes through',
    TIMEOUT,
    async () => {
      const stage = await open({ maxMessageBytes: { decision: 2_000 } })
      const requests = ids(0, 30).map((id) =>
        id === 7 || id === 19 ? denseRequest(stage, id, { arms: manyArms(300) }) : anyRequest(stage, id),
      )
      await stage.publish('decision-request', requests)
      stage.start(['decide'])
      const decisions = await stage.eventually('decision', 28)
      const letters = await stage.eventually('dead-letter', 2)
      expect(decisions).toHaveLength(28)
      expect(letters.map(({ event }) => [event.key?.toString(), event.stage, event.code]).sort()).toEqual([
        ['r-000007', 'deliver', 'MESSAGE_TOO_LARGE'],
        ['r-000019', 'deliver', 'MESSAGE_TOO_LARGE'],
      ])
      const published = await stage.records(stage.topic('decision-request'))
      for (const { event } of letters) {
        const source = published.find(
          ({ partition, offset }) => partition === event.partition && offset === event.offset,
        )
        expect(event.value).toEqual(source!.value)
      }
      await expectReplayed(stage)
    },
  )

  test(
    'an outcome larger than its topic takes makes a dead letter that names it; the rest goes through',
    TIMEOUT,
    async () => {
      const stage = await open({ maxMessageBytes: { outcome: 2_000 } })
      const large = ids(0, 4).map((id) => denseRequest(stage, id, { arms: manyArms(300) }))
      const small = ids(4, 8).map((id) => anyRequest(stage, id))
      stage.start(['decide', 'attribute'])
      await stage.publish('decision-request', [...large, ...small])
      await stage.eventually('decision', 12)
      await stage.until('all of them to wait', async () => {
        const waiting = await Promise.all(
          [0, 1, 2, 3].map((p) => stage.metric(`millrace_join_pending{job="attribute",partition="${p}"}`)),
        )
        return waiting.reduce((sum, each) => sum + each) === 12
      })
      stage.pass(10 * WINDOW_MS)
      const outcomes = await stage.eventually('outcome', 8)
      const letters = await stage.eventually('dead-letter', 4)
      expect(outcomes.map(({ event }) => event.requestId).sort()).toEqual(
        small.map(({ requestId }) => requestId),
      )
      for (const { event } of letters) {
        expect(event).toMatchObject({
          topic: stage.topic('outcome'),
          partition: -1,
          offset: -1,
          stage: 'deliver',
          code: 'MESSAGE_TOO_LARGE',
          truncated: true,
        })
      }
      const named = letters.map(({ event }) => (JSON.parse(event.value!.toString()) as Decision).requestId)
      expect(named.sort()).toEqual(large.map(({ requestId }) => requestId))
    },
  )

  test(
    'an outcome that cannot be learned from is passed over by every decider, and counted',
    TIMEOUT,
    async () => {
      const stage = await open()
      const running = stage.start(['decide', 'attribute'])
      await playRound(stage, ids(0, 20))
      const [sound] = await stage.events('outcome')
      const states = await stage.states()
      await stage.publish('outcome', [
        { ...sound!.event, vector: sound!.event.vector.map(() => Number.NaN) },
        { ...sound!.event, vector: [1] },
        { ...sound!.event, reward: Number.POSITIVE_INFINITY },
        { ...sound!.event, propensity: 0 },
        { ...sound!.event, policy: 'nobody' },
      ])
      const counted = (code: string) =>
        stage.metric(`millrace_dead_letters_total{job="learn",code="${code}"}`)
      await stage.until(
        'the refusals',
        async () =>
          (await counted('NON_FINITE_NUMBER')) === 2 &&
          (await counted('WRONG_DIMENSION')) === 1 &&
          (await counted('INVALID_PROPENSITY')) === 1,
      )
      expect(await stage.states()).toEqual(states)
      await stage.publish('decision-request', [denseRequest(stage, 500)])
      await stage.eventually('decision', 21)
      await running.stop()
      stage.start(['decide'], await stage.process())
      await stage.publish('decision-request', [denseRequest(stage, 501)])
      await stage.eventually('decision', 22)
      await expectReplayed(stage)
    },
  )
})
