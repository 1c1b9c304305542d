import { expect, it } from 'vitest'
import { pipelinesNamed } from '../../../pipelines/run.ts'
import { modelRecord, readModel, rollBack } from '../../../pipelines/tag/model-log.ts'
import type { Document } from '../../../schemas/generated/events.ts'
import { describeOnClusters, failureCode, type Stage } from '../harness.ts'
import { documentsFrom, servedBy, TAG, versionsOf } from './documents.ts'

const CORPUS = { labels: 12 }

const TAGGING = 'millrace_model_version{model="tags"}'

/** Trains until a version is served, and stops training. */
const trainOne = async (stage: Stage, documents: readonly Document[]): Promise<void> => {
  const served = (await servedBy(stage)).length
  const training = stage.start(['retrain'])
  await stage.publish('document', documents)
  await stage.until('a model is served', async () => (await servedBy(stage)).length > served)
  await training.stop()
}

describeOnClusters('tagging', (open) => {
  it('a model is trained from the log, is served, and tags what comes', async () => {
    const stage = await open({ overrides: { tag: TAG } })
    stage.start(['tag', 'retrain'])
    await stage.publish('document', documentsFrom(0, 300, CORPUS))
    await stage.until('a model is served', async () => (await servedBy(stage)).length > 0)
    const [model] = await versionsOf(stage)
    expect(model).toMatchObject({ name: 'tags', version: 1, promoted: true })
    expect(model!.trainedOn.reduce((sum, { from, to }) => sum + to - from, 0)).toBeGreaterThanOrEqual(100)
    await stage.until('it tags', async () => (await stage.metric(TAGGING)) === 1)
    const before = (await stage.eventually('document-labels', 300)).length
    expect(before).toBe(300)
    await stage.publish('document', documentsFrom(10_000, 100, CORPUS, { labels: null }))
    const tagged = (await stage.eventually('document-labels', 400)).slice(0).map(({ event }) => event)
    const late = tagged.filter(({ occurredAt }) => occurredAt >= 1_700_000_000_000 + 10_000)
    const truth = new Map(
      documentsFrom(10_000, 100, CORPUS).map(({ documentId, labels }) => [documentId, labels!]),
    )
    expect(late.map(({ documentId }) => documentId).sort()).toEqual([...truth.keys()].sort())
    for (const { documentId, labels, modelName, modelVersion } of late) {
      expect({ modelName, modelVersion }).toEqual({ modelName: 'tags', modelVersion: 1 })
      expect(labels.length).toBe(5)
      expect(labels.map(({ score }) => score)).toEqual(labels.map(({ score }) => score).sort((a, b) => b - a))
      expect(truth.get(documentId)).toContain(labels[0]!.label)
    }
  })
})

describeOnClusters(
  'documents',
  (open) => {
    it('get no labels while no model is served, by version 0, and are counted', async () => {
      const stage = await open({ overrides: { tag: TAG } })
      stage.start(['tag'])
      await stage.publish('document', documentsFrom(0, 20, CORPUS))
      const tagged = await stage.eventually('document-labels', 20)
      expect(tagged.every(({ event }) => event.modelVersion === 0 && event.labels.length === 0)).toBe(true)
      expect(await stage.metric('millrace_untagged_total{model="tags"}')).toBe(20)
    })

    it('that are none, or not of the kind that the model reads, are dead letters with their codes; the rest is tagged', async () => {
      const stage = await open({ overrides: { tag: TAG } })
      await trainOne(stage, documentsFrom(0, 300, CORPUS))
      stage.start(['tag'])
      const good = documentsFrom(1_000, 1, CORPUS)[0]!
      const features = { indices: [1], values: [1] }
      const bad: readonly (readonly [Partial<Document>, string])[] = [
        [{ text: null }, 'INVALID_EVENT'],
        [{ features }, 'INVALID_EVENT'],
        [{ text: null, features }, 'INVALID_EVENT'],
        [{ text: null, features: { indices: [3, 3], values: [1, 1] } }, 'INVALID_EVENT'],
        [{ text: null, features: { indices: [-1], values: [1] } }, 'WRONG_DIMENSION'],
        [{ text: null, features: { indices: [1, 2], values: [1] } }, 'WRONG_DIMENSION'],
        [{ text: null, features: { indices: [1], values: [Number.NaN] } }, 'NON_FINITE_NUMBER'],
        [{ text: null, features: { indices: [1], values: [1e300] } }, 'NON_FINITE_NUMBER'],
      ]
      await stage.publish(
        'document',
        bad.map(([change], i) => ({ ...good, ...change, documentId: `bad-${i}` })),
      )
      await stage.publish('document', [{ ...good, documentId: 'empty', text: '' }, good])
      const letters = await stage.eventually('dead-letter', bad.length)
      const codes = new Map(letters.map(({ event }) => [event.key!.toString(), event.code]))
      expect(bad.map((_, i) => codes.get(`bad-${i}`))).toEqual(bad.map(([, code]) => code))
      expect(letters.every(({ event }) => event.stage === 'tag')).toBe(true)
      const tagged = await stage.eventually('document-labels', 302)
      const ids = tagged.map(({ event }) => event.documentId)
      expect(ids.filter((id) => id.startsWith('bad'))).toEqual([])
      expect(ids).toEqual(expect.arrayContaining(['empty', good.documentId]))
    })

    it('with features are tagged by a model of features; those beyond its own are refused', async () => {
      const stage = await open({ overrides: { tag: { ...TAG, features: { kind: 'given', dimension: 40 } } } })
      const given = (from: number, count: number): Document[] =>
        Array.from({ length: count }, (_, i) => {
          const label = (from + i) % 8
          const indices = [label, 8 + label, 20 + ((from + i) % 7)]
          const features = { indices, values: [1, 0.5, -0.25] }
          const documentId = `f${from + i}`
          return { documentId, text: null, features, labels: [`l${label}`], occurredAt: 1 + i }
        })
      await trainOne(stage, given(0, 200))
      stage.start(['tag'])
      const beyond = { indices: [40], values: [1] }
      await stage.publish('document', [{ ...given(0, 1)[0]!, documentId: 'beyond', features: beyond }])
      const [letter] = await stage.eventually('dead-letter', 1)
      expect(letter!.event).toMatchObject({ code: 'WRONG_DIMENSION', stage: 'tag' })
      await stage.publish('document', given(1_000, 16))
      const tagged = await stage.eventually('document-labels', 216)
      const late = tagged.filter(({ event }) => Number(event.documentId.slice(1)) >= 1_000)
      for (const { event } of late)
        expect(event.labels[0]!.label).toBe(`l${Number(event.documentId.slice(1)) % 8}`)
    })

    it('of one batch are tagged by one version, though another is served meanwhile', async () => {
      const stage = await open({ overrides: { tag: TAG } })
      await trainOne(stage, documentsFrom(0, 300, CORPUS))
      // Of more documents, so better.
      await trainOne(stage, documentsFrom(300, 600, { ...CORPUS, labels: 24 }))
      const running = stage.start(['tag'])
      await stage.publish('document', documentsFrom(10_000, 400, CORPUS))
      await stage.eventually('document-labels', 800)
      await rollBack(stage.runtime, 'tags', 1)
      await stage.until('it tags', async () => (await stage.metric(TAGGING)) === 1)
      await stage.publish('document', documentsFrom(20_000, 400, CORPUS))
      const tagged = await stage.eventually('document-labels', 1_700)
      await running.stop()
      const versions = new Map<number, number[]>()
      for (const { event, partition } of tagged)
        versions.set(partition, [...(versions.get(partition) ?? []), event.modelVersion])
      // Each partition says 2 and then 1: never back and forth.
      for (const [, said] of versions) {
        expect(said.indexOf(1)).toBeGreaterThan(said.lastIndexOf(2))
        expect(said[0]).toBe(2)
      }
    })

    it('go on with the model before where a new one is damaged, and /ready says so; a start is refused then', async () => {
      const stage = await open({ overrides: { tag: TAG } })
      await trainOne(stage, documentsFrom(0, 300, CORPUS))
      const running = stage.start(['tag'])
      await stage.until('version 1 tags', async () => (await stage.metric(TAGGING)) === 1)
      const { live } = (await readModel(stage.runtime, 'tags')).versions
      const { codec, broker } = stage.runtime
      const writer = await broker.writer()
      const damaged = { ...live!, version: 2, sha256: 'ab'.repeat(32) }
      const { partitions } = await readModel(stage.runtime, 'tags')
      await codec.prepare(['model'])
      await writer.send([modelRecord(stage.runtime, 'live', damaged, partitions)])
      const said = () => stage.runtime.health.report().reasons['models'] ?? ''
      await stage.until('/ready says so', () => /^SNAPSHOT_CORRUPT: version 2/.test(said()))
      await stage.publish('document', documentsFrom(1_000, 20, CORPUS))
      const tagged = await stage.eventually('document-labels', 320)
      expect(tagged.every(({ event }) => event.modelVersion === 1)).toBe(true)
      const other = stage.start(['tag'], await stage.process())
      expect(failureCode(await other.failed())).toBe('SNAPSHOT_CORRUPT')
      await rollBack(stage.runtime, 'tags', 1)
      await stage.until('it is well again', () => said() === '')
      await running.stop()
    })

    it('are refused to be tagged or trained on where nothing is configured', async () => {
      const stage = await open()
      for (const job of ['tag', 'retrain'])
        expect(failureCode(await stage.start([job]).failed())).toBe('INVALID_CONFIG')
      expect(pipelinesNamed(['all'], stage.config).map(({ name }) => name)).toEqual([
        ...['decide', 'attribute', 'record'],
      ])
      const configured = await open({ overrides: { tag: TAG } })
      expect(pipelinesNamed(['all'], configured.config).map(({ name }) => name)).toEqual([
        ...['decide', 'attribute', 'record', 'tag', 'retrain'],
      ])
    })
  },
  ['memory'],
)
