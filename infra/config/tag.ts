/** The schema of `tag:`: the model that documents are tagged with, and how it is trained again. Defaults are those of the operators behind them. */
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { choice, duration, flag, integer, name, number, positive } from './units.ts'

/** One core is left to those who answer. */
const idleCores = () => Math.max(1, availableParallelism() - 1)

const features = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('text'),
    ngrams: integer(1, 5).default(1),
    minimalLength: integer(1, 100).default(2),
    numbers: flag().default(true),
    minDocuments: integer(1, 100_000_000).default(1),
    maxShare: number(0.000_001, 1).default(1),
    maxTerms: integer(1, 2 ** 31 - 1).exactOptional(),
    hash: z.strictObject({ bits: integer(1, 24), seed: integer(0, 2 ** 31).default(0) }).exactOptional(),
  }),
  z.strictObject({ kind: z.literal('given'), dimension: integer(1, 2 ** 30) }),
])

const training = z
  .strictObject({
    loss: choice(['squared-hinge', 'hinge', 'logistic']).default('squared-hinge'),
    C: positive().default(1),
    eps: positive().default(0.1),
    threshold: number(0).default(0.1),
    negatives: choice(['tfn', 'man', 'tfn+man']).default('tfn'),
  })
  .prefault({})

/** λ clusters a label at most, found in so many rounds. */
const disentangle = z.union(
  [
    z.strictObject({
      clusters: integer(1, 16).default(2),
      rounds: integer(1, 10).default(1),
      maxClusterSize: integer(1, 1_000_000).exactOptional(),
    }),
    z.literal('off'),
  ],
  { error: 'must be a block of keys, or off' },
)

const retrain = z
  .strictObject({
    every: integer(1, 2 ** 31).default(10_000),
    after: duration(1_000).exactOptional(),
    window: integer(1, 100_000_000).default(100_000),
    holdOut: number(0.001, 0.9).default(0.1),
    minDocuments: integer(2, 100_000_000).default(1_000),
    keep: integer(1, 10_000).default(10),
    tree: z
      .strictObject({
        branching: integer(2, 4_096).default(16),
        maxLeafSize: integer(1, 100_000).default(100),
        seed: integer(0, 2 ** 31).default(0),
      })
      .prefault({}),
    training,
    disentangle: disentangle.default('off'),
    threads: integer(1, 1_024).default(idleCores),
  })
  .prefault({})

export const tagSchema = z
  .strictObject({
    model: name().default('tags'),
    beam: integer(1, 10_000).exactOptional(),
    top: integer(1, 10_000).default(5),
    features: features.prefault({ kind: 'text' }),
    retrain,
  })
  .exactOptional()

/** `tag:` as configured. */
export type TagConfig = NonNullable<z.output<typeof tagSchema>>
export type RetrainConfig = TagConfig['retrain']
export type FeaturesConfig = TagConfig['features']
