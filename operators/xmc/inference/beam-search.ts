/**
 * Beam search through a tree of classifiers (Yu et al. 2022, "PECOS", algorithm 2): level by level the best nodes are kept and their children scored;
 * of the last level the best columns, and of these the labels.
 *
 * Scores never rise along a path (but with `identity`), so a parent below the worst node that is kept cannot give one, nor can those behind it: their classifiers are
 * passed over. The result is that of scoring them all.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { SearchSettings, XmcModel } from '../model.ts'
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { checkTree } from '../tree/label-tree.ts'
import { BestNodes } from './best-nodes.ts'
import { BLOCK, BlockSearch } from './block-search.ts'
import { Expansion } from './expansion.ts'
import { CopyMerger, MERGES } from './merge-copies.ts'
import type { BatchPredictions, Predictions } from './predictions.ts'
import { TRANSFORMS } from './transform.ts'

export class BeamSearch {
  readonly settings: SearchSettings
  readonly features: number
  readonly labels: number
  readonly #expansion: Expansion
  readonly #merger: CopyMerger
  #block: BlockSearch | undefined
  /** What is kept of the level above and of the one under way; they take turns. */
  #above = new BestNodes(1)
  #kept = new BestNodes(1)
  readonly #merged = new BestNodes(1)
  #innerProducts = 0

  /**
   * @param model its numbers are copied, into the layout that is searched
   * @param settings in place of the model's own
   * @throws MillraceError WRONG_DIMENSION where the model's parts do not fit together, or its weights into 4 GiB; INVALID_EVENT as `checkTree`; NON_FINITE_NUMBER
   *   where a weight is none; INVALID_CONFIG for a beam that is no positive whole number, or an unknown transform or merge
   */
  constructor(model: XmcModel, settings: Partial<SearchSettings> = {}) {
    this.settings = { ...model.search, ...settings }
    const { beam, transform, merge } = this.settings
    checkCount('beam', beam)
    checkName('transform', transform, Object.keys(TRANSFORMS))
    checkName('merge', merge, MERGES)
    checkModel(model)
    this.features = model.features
    this.labels = model.labels
    this.#expansion = new Expansion(model, TRANSFORMS[transform])
    this.#merger = new CopyMerger(model.labels, model.copies, merge)
  }

  /** Columns under the beam's clusters in the last `predict`: the ranker's cost of a query, as the literature counts it. Pruning spares some of them. */
  get innerProducts(): number {
    return this.#innerProducts
  }

  /**
   * The best labels of one query, into `output`. Makes no objects, unless `top` or the query is larger than ever before.
   * @param indices features of the query, in any order
   * @param numbers their values
   * @param top labels wanted, at least 1; `output` has room for them
   * @param from, @param to the part of `indices` and `numbers` that is the query; all of them unless given
   * @throws MillraceError WRONG_DIMENSION for a feature that the model does not have, NON_FINITE_NUMBER for a value that is none
   */
  predict(
    indices: Int32Array,
    numbers: Float32Array,
    top: number,
    output: Predictions,
    from = 0,
    to = indices.length,
  ): void {
    checkCount('top', top)
    this.#check(indices, numbers, from, to)
    const { weights, transform, levels } = this.#expansion
    weights.clear()
    weights.append(indices, numbers, from, to)
    this.#above.clear(1)
    this.#above.offer(0, transform.root)
    const last = levels.length - 1
    for (let level = 0; level < last; level++) this.#open(level, this.settings.beam)
    this.#innerProducts = levels[last]!.childrenOf(this.#above)
    const wanted = Math.min(top, this.labels)
    this.#open(last, this.#merger.candidates(wanted))
    const { nodes, scores, count } = this.#labelsOf(this.#above, wanted)
    for (let i = 0; i < count; i++) {
      output.labels[i] = nodes[i]!
      output.scores[i] = scores[i]!
    }
    output.count = count
  }

  /**
   * The best labels of each row: what `predict` gives, exactly, in less time.
   * @param top labels wanted, at least 1
   * @throws MillraceError as `predict`
   */
  predictBatch(queries: CsrMatrix, top: number): BatchPredictions {
    checkCount('top', top)
    const { rows } = queries
    const { levels } = this.#expansion
    const clusters = levels[levels.length - 1]!
    const wanted = Math.min(top, this.labels)
    const pointers = new Int32Array(rows + 1)
    const labels = new Int32Array(rows * wanted)
    const scores = new Float64Array(labels.length)
    const innerProducts = new Int32Array(rows)
    const beams = levels.map((_, t) =>
      t === levels.length - 1 ? this.#merger.candidates(wanted) : this.settings.beam,
    )
    let end = 0
    this.#eachRow(queries, beams, (columns, row, matched) => {
      innerProducts[row] = clusters.childrenOf(matched)
      const best = this.#labelsOf(columns, wanted)
      for (let i = 0; i < best.count; i++) {
        labels[end] = best.nodes[i]!
        scores[end++] = best.scores[i]!
      }
      pointers[row + 1] = end
    })
    return { pointers, labels: labels.subarray(0, end), scores: scores.subarray(0, end), innerProducts }
  }

  /**
   * The matcher's part alone: for each row the clusters, nodes of the last inner level, that the beam keeps, with their scores. Where labels hang from
   * the root there is one cluster, 0.
   * @param beam in place of the settings'
   * @returns rows × clusters
   */
  leaves(queries: CsrMatrix, beam: number = this.settings.beam): CsrMatrix {
    checkCount('beam', beam)
    const { rows } = queries
    const { levels } = this.#expansion
    const columns = levels[levels.length - 1]!.parents
    const pointers = new Int32Array(rows + 1)
    const clusters = new Int32Array(rows * Math.min(beam, columns))
    const scores = new Float32Array(clusters.length)
    let end = 0
    const beams = levels.slice(1).map(() => beam)
    this.#eachRow(queries, beams, (matched, row) => {
      matched.sortByNode()
      for (let i = 0; i < matched.count; i++) {
        clusters[end] = matched.nodes[i]!
        scores[end++] = matched.scores[i]!
      }
      pointers[row + 1] = end
    })
    return { rows, columns, pointers, indices: clusters.slice(0, end), values: scores.slice(0, end) }
  }

  /** Searches every row, as many levels as there are `beams`, and takes what was found, and found above it. */
  #eachRow(
    queries: CsrMatrix,
    beams: readonly number[],
    take: (found: BestNodes, row: number, above: BestNodes) => void,
  ): void {
    const { rows, pointers, indices, values } = queries
    this.#check(indices, values, pointers[0]!, pointers[rows]!)
    this.#block ??= new BlockSearch(this.#expansion)
    for (let from = 0; from < rows; from += BLOCK) {
      const to = Math.min(rows, from + BLOCK)
      this.#block.run(queries, from, to, beams)
      for (let row = from; row < to; row++)
        take(this.#block.found(row - from), row, this.#block.foundAbove(row - from))
    }
  }

  /** The labels of columns, sorted: the columns themselves where there are no copies. */
  #labelsOf(columns: BestNodes, wanted: number): BestNodes {
    if (!this.#merger.hasCopies) return columns
    this.#merged.clear(wanted)
    this.#merger.merge(columns, this.#merged)
    this.#merged.sort()
    return this.#merged
  }

  /** Leaves in `#above` the best children of what it holds, sorted. They are opened best first, so that the first who gives none is the last to be asked. */
  #open(level: number, wanted: number): void {
    const above = this.#above
    const kept = this.#kept
    kept.clear(Math.min(wanted, this.#expansion.levels[level]!.children.length))
    for (let i = 0; i < above.count; i++) {
      if (!this.#expansion.expand(level, above.nodes[i]!, above.scores[i]!, 0, kept)) break
    }
    kept.sort()
    this.#above = kept
    this.#kept = above
  }

  #check(indices: Int32Array, numbers: Float32Array, from: number, to: number): void {
    for (let k = from; k < to; k++) {
      const feature = indices[k]!
      if (!(feature >= 0 && feature < this.features))
        throw new MillraceError('WRONG_DIMENSION', `feature ${feature}: the model has ${this.features}`)
      const x = numbers[k]!
      if (x - x !== 0) throw new MillraceError('NON_FINITE_NUMBER', `the value of feature ${feature} is ${x}`)
    }
  }
}

const checkCount = (name: string, count: number): void => {
  if (!Number.isInteger(count) || count < 1)
    throw new MillraceError('INVALID_CONFIG', `${name}: ${count} is no positive whole number`)
}

const checkName = (what: string, name: string, names: readonly string[]): void => {
  if (!names.includes(name))
    throw new MillraceError('INVALID_CONFIG', `${what}: '${name}' is none of ${names.join(', ')}`)
}

const checkModel = ({ features, bias, tree, weights, labels, copies }: XmcModel): void => {
  const wrong = (what: string): never => {
    throw new MillraceError('WRONG_DIMENSION', `the model does not fit together: ${what}`)
  }
  if (!Number.isFinite(bias)) throw new MillraceError('NON_FINITE_NUMBER', `the model's bias is ${bias}`)
  if (tree.parents.length !== weights.length)
    wrong(`${tree.parents.length} levels of nodes, ${weights.length} of weights`)
  checkTree(tree)
  weights.forEach(({ rows, columns, values }, t) => {
    const parents = tree.parents[t]!
    if (rows !== parents.length) wrong(`level ${t} has ${parents.length} nodes and weights of ${rows}`)
    if (columns !== features + 1) wrong(`weights of level ${t} have ${columns} columns, not ${features + 1}`)
    for (const value of values) {
      if (value - value !== 0)
        throw new MillraceError('NON_FINITE_NUMBER', `a weight of level ${t} is ${value}`)
    }
  })
  const columns = tree.parents.at(-1)!.length
  if (labels < 1 || columns !== labels + copies.length)
    wrong(`${columns} columns for ${labels} labels and ${copies.length} copies`)
  for (const label of copies)
    if (!(label >= 0 && label < labels)) wrong(`a copy of label ${label} of ${labels}`)
}
