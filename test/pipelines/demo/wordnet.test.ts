/** WordNet as documents with labels: what its file says, and the reference set made of it, character by character. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { fitTfIdf } from '../../../operators/xmc/features/tf-idf.ts'
import { commonHypernyms, labelOf, type Noun, nounsOf, readNouns } from '../../../pipelines/demo/wordnet.ts'
import { pythonShuffled } from './python-shuffle.ts'

let nouns: Noun[] = []
beforeAll(() => {
  nouns = readNouns()
})

describe('nouns', () => {
  it('have a gloss and all their hypernyms, of kinds and of instances, each once', () => {
    const file = [
      '  1 a licence',
      '00000001 03 n 01 entity 0 001 ~ 00000002 n 0000 | what is  ',
      '00000002 03 n 02 thing 0 object a 002 @ 00000001 n 0000 + 00000003 v 0101 | a | thing; "it @ 00000001 n 0000"  ',
      '00000003 03 n 01 place 0 002 @ 00000001 n 0000 @ 00000002 n 0000 | where  ',
      '00000004 03 n 01 Rome 0 001 @i 00000003 n 0000 | a city  ',
      '',
    ].join('\n')
    expect(nounsOf(file)).toEqual([
      { offset: '00000001', word: 'entity', gloss: 'what is', hypernyms: [] },
      { offset: '00000002', word: 'thing', gloss: 'a | thing; "it @ 00000001 n 0000"', hypernyms: [0] },
      { offset: '00000003', word: 'place', gloss: 'where', hypernyms: [0, 1] },
      { offset: '00000004', word: 'Rome', gloss: 'a city', hypernyms: [0, 1, 2] },
    ])
  })

  it('are those of WordNet 3.1', () => {
    expect(nouns.length).toBe(82_192)
    const dog = nouns.find(({ word }) => word === 'dog')!
    expect(dog.gloss).toMatch(/^a member of the genus Canis/)
    expect(dog.hypernyms.map((noun) => nouns[noun]!.word)).toEqual(
      expect.arrayContaining(['entity', 'animal', 'mammal', 'carnivore', 'canine', 'domestic_animal']),
    )
    expect(nouns.filter(({ hypernyms }) => hypernyms.length === 0).map(({ word }) => word)).toEqual([
      'entity',
    ])
  })

  it('serve as labels where they are neither rare nor everywhere', () => {
    const noun = (...hypernyms: number[]): Noun => ({ offset: '', word: '', gloss: '', hypernyms })
    const all = [noun(), noun(0), noun(0), noun(0, 1), noun(0, 2), noun(0, 2)]
    expect(commonHypernyms(all, all, 2, 0.4)).toEqual([2])
    expect(commonHypernyms(all, all, 1, 1)).toEqual([0, 1, 2])
  })
})

const folder = fileURLToPath(new URL('../../../../shared/data/wordnet-xmc', import.meta.url))
const there = existsSync(`${folder}/train.txt.gz`)
if (!there) console.warn('SKIPPED: the reference set wordnet-xmc is not there: ours is not compared with it')

describe.skipIf(!there)('the reference set', () => {
  it('is made again: its documents, labels, terms and values', { timeout: 60_000 }, () => {
    const documents = pythonShuffled(
      nouns.filter(({ hypernyms }) => hypernyms.length > 0),
      0,
    )
    const fitted = documents.slice(0, Math.floor(0.8 * documents.length))
    const labels = commonHypernyms(nouns, fitted, 5, 0.05)
    expect(labels.map((noun) => labelOf(nouns[noun]!))).toEqual(
      readFileSync(`${folder}/labels.txt`, 'utf8').trimEnd().split('\n'),
    )
    const tfIdf = fitTfIdf(
      fitted.map(({ gloss }) => gloss),
      { tokens: { numbers: false }, minDocuments: 3 },
    )
    expect([tfIdf.features, labels.length]).toEqual([17_740, 5_273])

    const labelAt = new Map(labels.map((noun, label) => [noun, label]))
    const linesOf = (from: readonly Noun[]): string[] =>
      from.flatMap(({ gloss, hypernyms }) => {
        const { indices, values } = tfIdf.transform(gloss)
        const held = hypernyms.flatMap((noun) => labelAt.get(noun) ?? [])
        if (held.length === 0 || indices.length === 0) return []
        const features = Array.from(indices, (feature, i) => `${feature}:${values[i]!.toFixed(4)}`)
        return [`${held.join(',')} ${features.join(' ')}`]
      })
    for (const [name, part, count] of [
      ['train', fitted, 64_517],
      ['test', documents.slice(fitted.length), 16_082],
    ] as const) {
      const [header, ...theirs] = gunzipSync(readFileSync(`${folder}/${name}.txt.gz`))
        .toString()
        .trimEnd()
        .split('\n')
      const ours = linesOf(part)
      expect(header).toBe(`${count} 17740 5273`)
      expect(ours.length).toBe(count)
      // A float32 within 2e-8 of a half of the fourth decimal is written either way.
      const differing = ours.filter((line, i) => line !== theirs[i])
      expect(differing.length).toBeLessThan(count / 200)
      const values = /(?<=:)\S+/g
      const numbersOf = (line: string) => (line.match(values) ?? []).map(Number)
      for (const [i, line] of ours.entries()) {
        const other = theirs[i]!
        if (line === other) continue
        expect(line.replace(values, '')).toBe(other.replace(values, ''))
        const theirValues = numbersOf(other)
        expect(numbersOf(line).every((value, k) => Math.abs(value - theirValues[k]!) < 1.01e-4)).toBe(true)
      }
    }
  })
})
