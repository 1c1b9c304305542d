import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readModel, rollBack } from '../../../pipelines/tag/model-log.ts'
import { modelDirectory } from '../../../pipelines/tag/tag-config.ts'
import { describeOnClusters, type Opening, type Stage } from '../harness.ts'
import { documentsFrom, servedBy, TAG, versionsOf, whenItTrains } from './documents.ts'

const CORPUS = { labels: 12 }

const stageWith = (open: Opening, retrain: object, tag: object = {}): Promise<Stage> =>
  open({ overrides: { tag: { ...TAG, ...tag, retrain: { ...TAG.retrain, ...retrain } } } })

const versionCount = async (stage: Stage): Promise<number> => (await versionsOf(stage)).length

const skipped = (stage: Stage, reason: string): Promise<number> =>
  stage.metric(`millrace_retrain_skipped_total{model="tags",reason="${reason}"}`)

/** Publishes, and waits until there are so many versions. */
const until = async (stage: Stage, versions: number): Promise<void> =>
  stage.until(`${versions} versions`, async () => (await versionCount(stage)) >= versions)

const stored = (stage: Stage): string[] => {
  const directory = modelDirectory(stage.config, 'tags')
  return existsSync(directory) ? readdirSync(directory).sort() : []
}

describeOnClusters(
  'retraining',
  (open) => {
    it('comes after `every` new documents, on the last of the window, in proportion to what partitions hold', async () => {
      const stage = await stageWith(open, { every: 200, window: 300, minDocuments: 100 })
      stage.start(['retrain'])
      await stage.publish('document', documentsFrom(0, 100, CORPUS))
      await until(stage, 1)
      await stage.publish('document', documentsFrom(100, 199, CORPUS))
      await stage.publish('document', documentsFrom(299, 1, CORPUS))
      await until(stage, 2)
      await stage.publish('document', documentsFrom(300, 200, CORPUS))
      await until(stage, 3)
      const versions = await versionsOf(stage)
      const sizes = versions.map(({ trainedOn }) =>
        trainedOn.reduce((sum, { from, to }) => sum + to - from, 0),
      )
      expect(sizes).toEqual([100, 300, 300])
      const ends = await stage.runtime.broker.admin.offsets(stage.topic('document'))
      expect(versions[2]!.trainedOn.map(({ partition, to }) => [partition, to])).toEqual(
        ends.map(({ partition, latest }) => [partition, latest]),
      )
      for (const [i, { from, to }] of versions[2]!.trainedOn.entries())
        expect(Math.abs(to - from - (300 * ends[i]!.latest) / 500)).toBeLessThan(1)
    })

    it('comes after `after` where anything is new, by the time of the newest version', async () => {
      const stage = await stageWith(open, { every: 100_000, after: '1h', minDocuments: 100 })
      stage.start(['retrain'])
      await stage.publish('document', documentsFrom(0, 100, CORPUS))
      await until(stage, 1)
      stage.pass(3_600_000)
      await stage.publish('document', documentsFrom(100, 1, CORPUS))
      await until(stage, 2)
    })

    it('gives the same model for the same window, whoever trains and with however many threads', async () => {
      const stage = await stageWith(open, { every: 100_000, minDocuments: 200, disentangle: { clusters: 2 } })
      await stage.publish('document', documentsFrom(0, 200, CORPUS))
      const first = stage.start(['retrain'])
      await until(stage, 1)
      await first.stop()
      const other = await stageWith(open, {
        ...{ every: 100_000, minDocuments: 200, disentangle: { clusters: 2 }, threads: 3 },
      })
      await other.publish('document', documentsFrom(0, 200, CORPUS))
      other.start(['retrain'])
      await until(other, 1)
      const [one] = await versionsOf(stage)
      const [another] = await versionsOf(other)
      expect(another!.sha256).toBe(one!.sha256)
      expect(one!.metrics['overlap']).toBeGreaterThanOrEqual(1)
    })

    it.each([
      ['no-labels', documentsFrom(0, 150, CORPUS, { labels: null })],
      [
        'too-few-documents',
        [...documentsFrom(0, 60, CORPUS), ...documentsFrom(60, 60, CORPUS, { labels: [] })],
      ],
      ['single-label', documentsFrom(0, 150, { labels: 1 })],
      ['no-terms', documentsFrom(0, 150, CORPUS, { text: '' })],
    ])('retrains nothing where there is nothing to learn: %s', async (reason, documents) => {
      const stage = await stageWith(open, {})
      stage.start(['retrain'])
      await stage.publish('document', documents)
      await stage.until('it is told', async () => (await skipped(stage, reason)) === 1)
      // Not again for the same documents; but for new ones.
      await stage.publish('document', documentsFrom(1_000, 300, CORPUS))
      await until(stage, 1)
      expect(await skipped(stage, reason)).toBe(1)
    })

    it('retrains nothing where nothing is held out to judge by', async () => {
      const stage = await stageWith(open, { holdOut: 0.001 })
      stage.start(['retrain'])
      await stage.publish('document', documentsFrom(0, 120, CORPUS))
      await stage.until('it is told', async () => (await skipped(stage, 'nothing-held-out')) === 1)
      expect(await versionCount(stage)).toBe(0)
    })

    it('keeps a model that is worse, and has the better one go on; both were asked about the same documents', async () => {
      const stage = await stageWith(open, { every: 300, window: 300, minDocuments: 300 })
      stage.start(['tag', 'retrain'])
      await stage.publish('document', documentsFrom(0, 300, CORPUS))
      await until(stage, 1)
      // Labels by chance: what is learned from these is worse than what was learned from sense.
      const noise = documentsFrom(300, 250, CORPUS).map((document, i) => ({
        ...document,
        labels: [`label-${(i * 7) % 12}`],
      }))
      const sense = documentsFrom(550, 50, CORPUS)
      await stage.publish('document', [...noise, ...sense])
      await until(stage, 2)
      const [good, bad] = await versionsOf(stage)
      expect([good!.promoted, bad!.promoted]).toEqual([true, false])
      expect(bad!.metrics['precision@1']!).toBeLessThan(bad!.metrics['served.precision@1']!)
      expect((await servedBy(stage)).map(({ version }) => version)).toEqual([1])
      expect(await stage.metric('millrace_model_version{model="tags"}')).toBe(1)
    })

    it('has labels that are new appear, and old ones vanish, under stable ids', async () => {
      const stage = await stageWith(open, { every: 400, window: 400, minDocuments: 400 })
      stage.start(['tag', 'retrain'])
      await stage.publish('document', documentsFrom(0, 400, { labels: 8, prefix: 'old-' }))
      await until(stage, 1)
      await stage.publish('document', documentsFrom(0, 600, { labels: 8, prefix: 'new-' }))
      await stage.until(
        'the second tags',
        async () => (await stage.metric('millrace_model_version{model="tags"}')) === 2,
      )
      await stage.publish(
        'document',
        documentsFrom(9_000, 50, { labels: 8, prefix: 'new-' }, { labels: null }),
      )
      const tagged = await stage.eventually('document-labels', 1_050)
      const late = tagged.filter(({ event }) => event.modelVersion === 2)
      expect(late.length).toBe(50)
      for (const { event } of late)
        for (const { label } of event.labels) expect(label).toMatch(/^new-label-\d$/)
    })

    it('lets go of old versions and sweeps their bytes, and what a crash left; the one served is kept', async () => {
      const stage = await stageWith(open, { every: 100, minDocuments: 100, window: 100, keep: 2 })
      const running = stage.start(['retrain'])
      const abandoned = join(modelDirectory(stage.config, 'tags'), `${'ab'.repeat(32)}.model`)
      mkdirSync(abandoned, { recursive: true })
      for (let round = 0; round < 4; round++) {
        await stage.publish('document', documentsFrom(100 * round, 100, CORPUS))
        await until(stage, round + 1)
      }
      await running.stop()
      expect(existsSync(abandoned)).toBe(false)
      const { versions } = await readModel(stage.runtime, 'tags')
      const kept = versions.all.map(({ version }) => version)
      expect(kept.slice(-2)).toEqual([3, 4])
      const named = new Set([...versions.all, versions.live!].map(({ sha256 }) => `${sha256}.model`))
      expect(stored(stage)).toEqual([...named].sort())
      expect(named.has(`${versions.live!.sha256}.model`)).toBe(true)
    })

    it('writes what it measured as metrics, with the version in one transaction', async () => {
      const stage = await stageWith(open, { minDocuments: 100 })
      stage.start(['retrain'])
      await stage.publish('document', documentsFrom(0, 150, CORPUS))
      await until(stage, 1)
      const [model] = await versionsOf(stage)
      const told = (await stage.events('metric')).filter(({ event }) =>
        event.name.startsWith('millrace_retrain_'),
      )
      const values = new Map(told.map(({ event }) => [event.name, event.value]))
      for (const [name, measure] of [
        ['precision_at_1', 'precision@1'],
        ['psp_at_5', 'psp@5'],
        ['recall_at_3', 'recall@3'],
        ['ndcg_at_5', 'ndcg@5'],
        ['overlap', 'overlap'],
        ['cluster_size_max', 'clusterSize.max'],
        ['seconds', 'seconds'],
        ['bytes', 'bytes'],
        ['documents', 'documents'],
        ['labels', 'labels'],
      ] as const)
        expect([name, values.get(`millrace_retrain_${name}`)]).toEqual([name, model!.metrics[measure]])
      expect(told[0]!.event.labels).toEqual({ model: 'tags', version: '1', promoted: 'true' })
    })

    it('what was trained while somebody chose another version is kept, and not served', async () => {
      const stage = await stageWith(open, { every: 200, minDocuments: 100 })
      const first = stage.start(['retrain'])
      await stage.publish('document', documentsFrom(0, 100, CORPUS))
      await until(stage, 1)
      await stage.publish('document', documentsFrom(100, 200, { labels: 16 }))
      await until(stage, 2)
      await first.stop()
      const { live } = (await readModel(stage.runtime, 'tags')).versions
      const other = live?.version === 1 ? 2 : 1
      let chosen: Promise<unknown> | null = null
      const choose = () => {
        chosen = rollBack(stage.runtime, 'tags', other)
      }
      stage.start(['retrain'], whenItTrains(await stage.process(), choose))
      // Far better than anything before, and of no use to who has chosen.
      await stage.publish('document', documentsFrom(300, 600, { labels: 16 }))
      await until(stage, 3)
      await chosen
      const { versions } = await readModel(stage.runtime, 'tags')
      expect(versions.version(3).promoted).toBe(false)
      expect(versions.live?.version).toBe(other)
    })

    it('knows no versions but its own', async () => {
      const stage = await stageWith(open, { minDocuments: 100 })
      stage.start(['retrain'])
      await stage.publish('document', documentsFrom(0, 100, CORPUS))
      await until(stage, 1)
      for (const [name, version] of [
        ['tags', undefined],
        ['tags', 9],
        ['nobody', undefined],
      ] as const)
        await expect(rollBack(stage.runtime, name, version)).rejects.toMatchObject({ code: 'UNKNOWN_MODEL' })
    })

    it('has one trainer, whatever the number of processes', async () => {
      const stage = await stageWith(open, { every: 150, minDocuments: 150 })
      const other = await stage.process()
      stage.start(['retrain'])
      stage.start(['retrain'], other)
      for (let round = 0; round < 3; round++) {
        await stage.publish('document', documentsFrom(150 * round, 150, CORPUS))
        await until(stage, round + 1)
      }
      expect((await versionsOf(stage)).map(({ version }) => version)).toEqual([1, 2, 3])
    })
  },
  ['memory'],
)
