/** Trains WordNet once in a process of its own, so that its peak memory is its own: `train-once.ts <threads> <folder>`. Says what it took as a line of JSON. */
import { BeamSearch, rankingMetrics } from '../../operators/xmc/index.ts'
import { saveTagModel } from '../../pipelines/xmc/model-folder.ts'
import { trainModel } from '../../pipelines/xmc/train-model.ts'
import { readPart } from './wordnet.ts'

const [threads = '1', folder = ''] = process.argv.slice(2)
const train = readPart('train')
const start = performance.now()
const settings = { tree: { branching: 32, maxLeafSize: 100, seed: 0 }, training: {}, disentangle: null }
const xmc = await trainModel(train, settings, { threads: Number(threads) })
const seconds = (performance.now() - start) / 1_000
const peakBytes = 1_024 * process.resourceUsage().maxRSS
const labels = Array.from({ length: xmc.labels }, (_, label) => String(label))
const { bytes } = await saveTagModel(folder, { xmc, labels, tfIdf: null }, { replace: true })
const test = readPart('test')
const { precision } = rankingMetrics(new BeamSearch(xmc).predictBatch(test.X, 20), test.Y)
console.log(JSON.stringify({ seconds, peakBytes, modelBytes: bytes, precision }))
