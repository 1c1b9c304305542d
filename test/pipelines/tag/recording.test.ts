/** Tags and models in ClickHouse: the rows of their events, once each, and what the views make of them. */
import { expect, test } from 'vitest'
import { rollBack } from '../../../pipelines/tag/model-log.ts'
import { describeWithClickHouse, useClickHouse } from '../../clickhouse-server.ts'
import { describeOnClusters } from '../harness.ts'
import { documentsFrom, TAG, versionsOf } from './documents.ts'

const CORPUS = { labels: 12 }

describeWithClickHouse('recording of documents', () => {
  const clickhouse = useClickHouse()
  describeOnClusters('record', (open) => {
    test('has a row for every document tagged and every record of a model, and the views add up', {
      timeout: 120_000,
    }, async () => {
      const retrain = { ...TAG.retrain, every: 200, window: 400, minDocuments: 200, keep: 1 }
      const stage = await open({ clickhouse, overrides: { tag: { ...TAG, retrain } } })
      const at = { occurredAt: stage.time }
      const running = stage.start(['tag', 'retrain', 'record'])
      await stage.publish('document', documentsFrom(0, 200, CORPUS, at))
      await stage.until('version 1', async () => (await versionsOf(stage)).length === 1)
      await stage.until(
        'it tags',
        async () => (await stage.metric('millrace_model_version{model="tags"}')) === 1,
      )
      await stage.publish('document', documentsFrom(200, 600, { labels: 20 }, at))
      await stage.until('version 2', async () => (await versionsOf(stage)).length >= 2)
      await stage.eventually('document-labels', 800)
      const ch = await stage.runtime.clickhouse()
      const count = async (query: string) => Number((await ch.query<{ n: string }>(query))[0]?.n)
      const lines = async () =>
        (await stage.records(stage.topic('model'))).filter(({ value }) => value !== null)
      const recorded = async () =>
        (await count('SELECT count() AS n FROM document_labels')) === 800 &&
        (await count('SELECT count() AS n FROM models')) === (await lines()).length
      await stage.until('all is recorded', recorded)
      expect((await stage.records(stage.topic('dead-letter'))).length).toBe(0)

      const rows = await ch.query<Record<string, unknown>>(
        `SELECT document_id, labels, model_name, model_version, toUnixTimestamp64Milli(tagged_at) AS tagged_at, partition, offset
         FROM document_labels ORDER BY partition, offset`,
      )
      const events = await stage.events('document-labels')
      expect(
        rows.map((row) => ({ ...row, tagged_at: Number(row['tagged_at']), offset: Number(row['offset']) })),
      ).toEqual(
        events.map(({ event, partition, offset }) => ({
          document_id: event.documentId,
          labels: event.labels,
          model_name: event.modelName,
          model_version: event.modelVersion,
          tagged_at: event.taggedAt,
          partition,
          offset,
        })),
      )
      const byVersion = (version: number) =>
        events.filter(({ event }) => event.modelVersion === version).length
      const minutes = await ch.query<{ v: number; n: string; u: string }>(
        'SELECT model_version AS v, sum(documents) AS n, sum(untagged) AS u FROM tag_minutes GROUP BY v ORDER BY v',
      )
      expect(minutes.map(({ v, n, u }) => [v, Number(n), Number(u)])).toEqual(
        [0, 1, 2, 3, 4]
          .map((version) => [version, byVersion(version), version === 0 ? byVersion(0) : 0])
          .filter(([, documents]) => documents! > 0),
      )

      const versions = await versionsOf(stage)
      const shown = () =>
        ch.query<Record<string, unknown>>(
          'SELECT version, promoted, live, documents, precision_at_1, precision_at_5, propensity_scored_precision_at_1, sha256 FROM model_versions ORDER BY version',
        )
      const live = versions.filter(({ promoted }) => promoted).at(-1)!.version
      expect(
        (await shown()).map((row) => ({
          ...row,
          documents: Number(row['documents']),
          live: Boolean(row['live']),
        })),
      ).toEqual(
        versions.map(({ version, promoted, trainedOn, metrics, sha256 }) => ({
          version,
          promoted,
          live: version === live,
          documents: trainedOn.reduce((sum, { from, to }) => sum + to - from, 0),
          precision_at_1: metrics['precision@1'],
          precision_at_5: metrics['precision@5'],
          propensity_scored_precision_at_1: metrics['psp@1'],
          sha256,
        })),
      )
      const newest = versions.at(-1)!
      await rollBack(stage.runtime, 'tags', newest.version)
      await stage.until('the views know', async () => {
        const row = (await shown()).find(({ version }) => version === newest.version)
        return Boolean(row?.['live'])
      })
      expect(
        await count(
          `SELECT count() AS n FROM metrics WHERE name = 'millrace_retrain_precision_at_1' AND labels['model'] = 'tags'`,
        ),
      ).toBe(versions.length)
      await running.stop()
    })
  })
})
