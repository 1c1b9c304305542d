/**
 * Predictions as text, as the Extreme Classification Repository keeps them: a header "N L", the numbers of documents and labels, then a line a document,
 * "label:score label:score …". Written best first, scores to seven digits; read in any order, since others write them by label.
 */
import type { RankedLabels } from '../../operators/xmc/evaluation/ranking-metrics.ts'
import type { BatchPredictions } from '../../operators/xmc/inference/predictions.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { linesOf, named } from './text-files.ts'

/** The lines of a file, each with its end. */
export const formatPredictions = function* (
  batches: Iterable<BatchPredictions>,
  documents: number,
  labelCount: number,
): Generator<string, void, undefined> {
  yield `${documents} ${labelCount}\n`
  for (const { pointers, labels, scores } of batches)
    for (let row = 0; row + 1 < pointers.length; row++) {
      let line = ''
      for (let k = pointers[row]!; k < pointers[row + 1]!; k++)
        line += `${line === '' ? '' : ' '}${labels[k]}:${rounded(scores[k]!)}`
      yield `${line}\n`
    }
}

/** The same as lines of JSON, labels by their ids. */
export const predictionLines = function* (
  batches: Iterable<BatchPredictions>,
  ids: readonly string[],
): Generator<string, void, undefined> {
  let document = 0
  for (const { pointers, labels, scores } of batches)
    for (let row = 0; row + 1 < pointers.length; row++) {
      const found = []
      for (let k = pointers[row]!; k < pointers[row + 1]!; k++)
        found.push({ label: ids[labels[k]!]!, score: rounded(scores[k]!) })
      yield `${JSON.stringify({ document: document++, labels: found })}\n`
    }
}

/** Of a file: ranked by score, ties by the smaller label. */
export interface PredictionsFile extends RankedLabels {
  readonly labelCount: number
}

/**
 * Reads a file of predictions, `.gz` too.
 * @throws MillraceError MALFORMED_FILE, WRONG_DIMENSION (a label out of range), NON_FINITE_NUMBER, with file, line and column; INVALID_CONFIG
 */
export const readPredictions = (file: string): Promise<PredictionsFile> =>
  named(file, async () => {
    const [header = '', ...lines] = await linesOf(file)
    const match = /^(\d{1,9}) (\d{1,9})$/.exec(header)
    if (match === null) throw refused('MALFORMED_FILE', 1, 1, 'the header is not "documents labels"')
    const [rows, labelCount] = [Number(match[1]), Number(match[2])]
    if (lines.length !== rows)
      throw refused(
        'MALFORMED_FILE',
        lines.length + 2,
        1,
        `${lines.length} documents, the header says ${rows}`,
      )
    const pointers = new Int32Array(rows + 1)
    const labels: number[] = []
    for (const [row, line] of lines.entries()) {
      const entries = entriesOf(line, row + 2, labelCount)
      entries.sort((a, b) => b.score - a.score || a.label - b.label)
      for (const { label } of entries) labels.push(label)
      pointers[row + 1] = labels.length
    }
    return { pointers, labels: Int32Array.from(labels), labelCount }
  })

const ENTRY = /(\d{1,10}):(\S+)(?: |$)/y

const entriesOf = (line: string, number: number, labelCount: number): { label: number; score: number }[] => {
  const entries: { label: number; score: number }[] = []
  const seen = new Set<number>()
  let at = 0
  while (at < line.length) {
    ENTRY.lastIndex = at
    const match = ENTRY.exec(line)
    if (match === null) throw refused('MALFORMED_FILE', number, at + 1, 'no "label:score" begins here')
    const [label, score] = [Number(match[1]), Number(match[2])]
    const place = [number, at + 1] as const
    if (label >= labelCount) throw refused('WRONG_DIMENSION', ...place, `label ${label} of ${labelCount}`)
    if (seen.has(label)) throw refused('MALFORMED_FILE', ...place, `label ${label} is there already`)
    if (!Number.isFinite(score))
      throw refused('NON_FINITE_NUMBER', ...place, `the score of label ${label} is no number`)
    seen.add(label)
    entries.push({ label, score })
    at = ENTRY.lastIndex
  }
  return entries
}

const rounded = (score: number): number => Number(score.toPrecision(7))

const refused = (
  code: 'MALFORMED_FILE' | 'WRONG_DIMENSION' | 'NON_FINITE_NUMBER',
  line: number,
  column: number,
  why: string,
): MillraceError => new MillraceError(code, `line ${line}, column ${column}: ${why}`)
