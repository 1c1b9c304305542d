/** How many documents the demo publishes, and when a model is due. */

export interface DocumentPlan {
  /** Glosses that every model is asked about, and none learns from. */
  readonly slice: number
  /** Documents before the first model; all of them with labels. */
  readonly first: number
  /** Documents, those of the slice included, from one training to the next. */
  readonly every: number
  /** Trainings where the demo runs to an end. */
  readonly trainings: number
}

const TRAININGS = 3
/** WordNet has not many more. */
const MOST = 60_000
const LEAST = 1_000

/** For a run to the end over so many documents: a fifth of them for the first model, two fifths each for the others. */
export const planOf = (documents: number): DocumentPlan => {
  const count = Math.max(LEAST, Math.min(MOST, documents))
  const part = Math.floor(count / 5)
  return { slice: Math.floor(count / 20), first: part, every: 2 * part, trainings: TRAININGS }
}

/** For a run without an end, at a rate: the first model after some seconds, another each half minute. */
export const endlessPlan = (rate: number): DocumentPlan => ({
  slice: 1_000,
  first: Math.max(LEAST, Math.ceil(10 * rate)),
  every: Math.max(2 * LEAST, Math.ceil(30 * rate)),
  trainings: Number.POSITIVE_INFINITY,
})

/** Documents of the stream, without the slice, at which the next training is due. The slice is published once for each model before. */
export const streamed = ({ first, every, slice, trainings }: DocumentPlan, made: number): number =>
  first + Math.min(made, trainings - 1) * (every - slice)
