/**
 * The schemas of `sources:` and `sinks:`, the user's own topics. What stands under `fields` is the mapping's own language, checked by
 * `mappingProblems` of `operators/streams/mapping.ts`, which the caller of `loadConfig` passes, so that its grammar lives in one place.
 */
import { z } from 'zod'
import { filePath, type Surroundings } from './secret.ts'
import { choice, text } from './units.ts'

const FORMATS = ['json', 'avro', 'confluent-avro'] as const

interface Form {
  readonly format?: (typeof FORMATS)[number]
  readonly schema?: string
}

/** Avro needs a schema, JSON has none, and a registry may supply one. */
const schemaFits = ({ format = 'json', schema }: Form): boolean =>
  format === 'confluent-avro' || (format === 'avro') === (schema !== undefined)

/** The check runs whatever else is wrong with the entry. */
const judged = {
  error: 'needs `schema` (an .avsc file) with format avro, and none with format json',
  when: ({ value }: { value: unknown }) => typeof value === 'object' && value !== null,
}

const mapped = (surroundings: Surroundings) => ({
  topic: text(),
  format: choice(FORMATS).default('json'),
  schema: filePath(surroundings).exactOptional(),
  fields: z.record(z.string(), z.unknown()),
})

export const sourceSchema = (surroundings: Surroundings) =>
  z
    .strictObject({
      ...mapped(surroundings),
      event: choice(['decision-request', 'reward', 'activation']),
      sample: filePath(surroundings).exactOptional(),
    })
    .refine(schemaFits, judged)

export const sinkSchema = (surroundings: Surroundings) =>
  z
    .strictObject({
      ...mapped(surroundings),
      event: choice(['decision', 'outcome', 'outcome-correction']),
      key: z.string().exactOptional(),
    })
    .refine(schemaFits, judged)
