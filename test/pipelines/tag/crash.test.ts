/** Row 24 of the fault table, in memory: a trainer that dies at any step leaves the model that is served, and who comes next trains. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { MemoryBroker } from '../../../infra/kafka/memory.ts'
import { describeOnClusters, type Opening, type Stage } from '../harness.ts'
import { documentsFrom, servedBy, TAG, versionsOf, whenItTrains } from './documents.ts'

const CORPUS = { labels: 24, words: 30 }
const MORE = { ...CORPUS, labels: 32 }

const TAGGING = 'millrace_model_version{model="tags"}'

/** A stage on which version 1 is served and tags, and 2,000 documents more wait for a training. */
const servedStage = async (open: Opening): Promise<Stage> => {
  const retrain = { ...TAG.retrain, every: 500, window: 3_000 }
  const stage = await open({ overrides: { tag: { ...TAG, retrain }, 'kafka.sessionTimeout': '500ms' } })
  stage.start(['tag'])
  const first = stage.start(['retrain'], await stage.process())
  await stage.publish('document', documentsFrom(0, 300, CORPUS))
  await stage.until('version 1 tags', async () => (await stage.metric(TAGGING)) === 1)
  await first.stop()
  await stage.publish('document', documentsFrom(1_000, 2_000, MORE))
  return stage
}

/** The model served goes on tagging, and whoever trains next comes to a version that is the next one. */
const goesOn = async (stage: Stage): Promise<void> => {
  expect((await servedBy(stage)).map(({ version }) => version)).toEqual([1])
  const before = await stage.count(stage.topic('document-labels'))
  await stage.publish('document', documentsFrom(50_000, 20, CORPUS, { labels: null }))
  const tagged = await stage.eventually('document-labels', Math.max(before, 2_300) + 20)
  const late = tagged.filter(({ event }) => Number(event.documentId.slice(1)) >= 50_000)
  expect(late.map(({ event }) => event.modelVersion)).toEqual(Array.from({ length: 20 }, () => 1))
  stage.start(['retrain'], await stage.process())
  await stage.until('the next version tags', async () => (await stage.metric(TAGGING)) === 2)
  expect((await versionsOf(stage)).map(({ version }) => version)).toEqual([1, 2])
  // Every document was tagged once, whatever happened.
  const ids = (await stage.events('document-labels')).map(({ event }) => event.documentId)
  expect(new Set(ids).size).toBe(ids.length)
}

describeOnClusters(
  'a trainer that dies',
  (open) => {
    it.each([0, 40, 250])(
      '%d ms into a training leaves the model served as it was; the next one trains',
      async (ms) => {
        const stage = await servedStage(open)
        const dying = await stage.process()
        let begun = false
        const running = stage.start(
          ['retrain'],
          whenItTrains(dying, () => {
            begun = true
            setTimeout(() => (dying.broker as MemoryBroker).crash(), ms)
          }),
        )
        expect(await running.failed()).toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
        expect(begun).toBe(true)
        await goesOn(stage)
      },
    )

    it('in its commit, its model stored, leaves the model served as it was; the next one trains and sweeps', async () => {
      const stage = await servedStage(open)
      const dying = await stage.process({ fault: (id) => (id.includes('-retrain-') ? 'crash' : undefined) })
      const running = stage.start(['retrain'], dying)
      expect(await running.failed()).toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
      await goesOn(stage)
    })

    it('with the answer to its commit lost is served once all the same, and trains no second time', async () => {
      const stage = await servedStage(open)
      let lost = 0
      const unlucky = await stage.process({
        fault: (id) => (id.includes('-retrain-') && lost++ === 0 ? 'reply-lost' : undefined),
      })
      stage.start(['retrain'], unlucky)
      await stage.until('version 2 tags', async () => (await stage.metric(TAGGING)) === 2)
      await sleep(1_500)
      expect((await versionsOf(stage)).map(({ version }) => version)).toEqual([1, 2])
      expect((await servedBy(stage)).map(({ version }) => version)).toEqual([1, 2])
    })

    it('stopped in order while it trains gives up at once, and commits nothing', async () => {
      const stage = await servedStage(open)
      const stopping = await stage.process()
      let tell = () => {}
      const begun = new Promise<void>((resolve) => {
        tell = resolve
      })
      const running = stage.start(['retrain'], whenItTrains(stopping, tell))
      await begun
      await running.stop()
      expect(await versionsOf(stage)).toHaveLength(1)
      await goesOn(stage)
    })
  },
  ['memory'],
)
