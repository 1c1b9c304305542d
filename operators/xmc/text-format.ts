/**
 * The text format of the Extreme Classification Repository (Bhatia, Dahiya, Jain, Kar, Mittal, Prabhu and Varma 2016): a header "N D L", the numbers of documents, features
 * and labels, then a line a document, "l1,l2,… f:v f:v …". Labels and features count from 0 and come in any order. A document without labels begins with a
 * space, or with its first feature; one without features ends after its labels.
 *
 * Read in pieces, so that a file need never be one string: `feed` what has come, then `end`. Nothing is guessed: what is wrong is refused by line and column, both from 1.
 * Cost: linear in the text.
 */
import { MillraceError } from '../../schemas/errors.ts'
import { CsrBuilder } from './sparse/csr-builder.ts'
import type { CsrMatrix } from './sparse/csr-matrix.ts'
import { type DocumentLine, documentLine, emptyLine, headerLine, malformed, type Sizes } from './text-line.ts'

export interface LabelledDocuments {
  /** N × D features. Values of 0 are left out. */
  readonly X: CsrMatrix
  /** N × L, a 1 for each label of a document. */
  readonly Y: CsrMatrix
}

export interface TextFormatOptions {
  /** Divide each document by its Euclidean norm, in float64, before its values become float32. Default true. */
  readonly normalise?: boolean
}

/** Reads one file. */
export class TextFormatReader {
  readonly #normalise: boolean
  readonly #decoder = new TextDecoder()
  readonly #features = new CsrBuilder()
  readonly #labels = new CsrBuilder()
  readonly #document = emptyLine()
  #sizes: Sizes | null = null
  /** What has come of a line that has not ended yet. */
  #open: string[] = []
  #lines = 0

  constructor({ normalise = true }: TextFormatOptions = {}) {
    this.#normalise = normalise
  }

  /**
   * The next piece, cut anywhere: bytes of UTF-8, or text.
   *
   * @throws MillraceError MALFORMED_FILE, WRONG_DIMENSION (a feature or label that the header does not announce), NON_FINITE_NUMBER
   */
  feed(piece: Uint8Array | string): void {
    const text = typeof piece === 'string' ? piece : this.#decoder.decode(piece, { stream: true })
    let start = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      this.#open.push(text.slice(start, end))
      this.#endLine()
      start = end + 1
    }
    if (start < text.length) this.#open.push(text.slice(start))
  }

  /** The whole file. @throws MillraceError as `feed`, and MALFORMED_FILE where documents are missing */
  end(): LabelledDocuments {
    this.feed(this.#decoder.decode())
    if (this.#open.length > 0) this.#endLine()
    if (this.#sizes === null) throw malformed(1, 1, 'the header "N D L" is missing')
    const { documents, features, labels } = this.#sizes
    if (this.#labels.rows !== documents) {
      throw malformed(
        this.#lines + 1,
        1,
        `the file ends after ${this.#labels.rows} of ${documents} documents`,
      )
    }
    return { X: this.#features.build(features), Y: this.#labels.build(labels) }
  }

  #endLine(): void {
    const line = this.#open.length === 1 ? this.#open[0]! : this.#open.join('')
    this.#open = []
    this.#read(line.endsWith('\r') ? line.slice(0, -1) : line)
  }

  #read(line: string): void {
    const number = ++this.#lines
    if (this.#sizes === null) {
      this.#sizes = headerLine(line)
    } else if (this.#labels.rows < this.#sizes.documents) {
      documentLine(line, number, this.#sizes, this.#document)
      this.#store(this.#document)
    } else if (line !== '') {
      throw malformed(number, 1, `a document beyond the ${this.#sizes.documents} of the header`)
    }
  }

  #store({ labels, features, values }: DocumentLine): void {
    for (const label of labels) this.#labels.add(label, 1)
    this.#labels.endRow()
    let norm = 1
    if (this.#normalise) {
      let squares = 0
      for (const value of values) squares += value * value
      norm = Math.sqrt(squares) || 1
    }
    for (let i = 0; i < features.length; i++) {
      const value = values[i]! / norm
      if (Math.fround(value) !== 0) this.#features.add(features[i]!, value)
    }
    this.#features.endRow()
  }
}

/** A file in memory, whole or in pieces. @throws MillraceError as `TextFormatReader` */
export const readTextFormat = (
  pieces: string | Iterable<Uint8Array | string>,
  options: TextFormatOptions = {},
): LabelledDocuments => {
  const reader = new TextFormatReader(options)
  for (const piece of typeof pieces === 'string' ? [pieces] : pieces) reader.feed(piece)
  return reader.end()
}

/**
 * The lines of a file, each with its end, the header first. Values have nine significant digits, which is all of a float32: read without `normalise`,
 * they are the same again.
 *
 * @throws MillraceError WRONG_DIMENSION where X and Y have not as many rows
 */
export const formatText = function* ({ X, Y }: LabelledDocuments): Generator<string, void, undefined> {
  if (X.rows !== Y.rows)
    throw new MillraceError('WRONG_DIMENSION', `${X.rows} documents, labels of ${Y.rows}`)
  yield `${X.rows} ${X.columns} ${Y.columns}\n`
  for (let row = 0; row < X.rows; row++) {
    let line = Y.indices.subarray(Y.pointers[row], Y.pointers[row + 1]).join(',')
    for (let k = X.pointers[row]!; k < X.pointers[row + 1]!; k++) {
      line += ` ${X.indices[k]}:${Number(X.values[k]!.toPrecision(9))}`
    }
    yield `${line}\n`
  }
}
