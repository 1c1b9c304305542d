/**
 * Many queries side by side: all that open the same parent do so one after the other, so that its chunk is fetched from memory once and not for each. First
 * every query opens its best parent, then the others that may still matter. What is found is what one search after the other finds, to the last bit.
 */
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { BestNodes } from './best-nodes.ts'
import type { Expansion } from './expansion.ts'

/** Queries at once: enough that several meet at a parent. */
export const BLOCK = 4096

export class BlockSearch {
  readonly #expansion: Expansion
  /** What is kept of the level above and of the one under way, a query each; they take turns. */
  #above: BestNodes[] = []
  #kept: BestNodes[] = []
  /** Parents to open: counts and then places by parent, and the queries and ranks in their order. */
  readonly #places: Int32Array
  #queries = new Int32Array(BLOCK)
  #ranks = new Int32Array(BLOCK)

  constructor(expansion: Expansion) {
    this.#expansion = expansion
    this.#places = new Int32Array(Math.max(...expansion.levels.map(({ parents }) => parents)) + 1)
  }

  /**
   * Searches for up to BLOCK rows, as many levels as `wanted` names.
   * @param wanted nodes kept of each level
   */
  run(queries: CsrMatrix, from: number, to: number, wanted: readonly number[]): void {
    const { weights, transform, levels } = this.#expansion
    const { pointers, indices, values } = queries
    const count = to - from
    weights.clear()
    for (let query = 0; query < count; query++) {
      weights.append(indices, values, pointers[from + query]!, pointers[from + query + 1]!)
      this.#above[query] ??= new BestNodes(1)
      this.#kept[query] ??= new BestNodes(1)
      this.#above[query]!.clear(1)
      this.#above[query]!.offer(0, transform.root)
    }
    wanted.forEach((capacity, level) => {
      for (let query = 0; query < count; query++)
        this.#kept[query]!.clear(Math.min(capacity, levels[level]!.children.length))
      this.#open(level, count, 0, 1)
      if (level > 0) this.#open(level, count, 1, wanted[level - 1]!)
      for (let query = 0; query < count; query++) this.#kept[query]!.sort()
      const swap = this.#above
      this.#above = this.#kept
      this.#kept = swap
    })
  }

  /** What a query of the last run found, sorted. */
  found(query: number): BestNodes {
    return this.#above[query]!
  }

  /** What it had kept one level above. */
  foundAbove(query: number): BestNodes {
    return this.#kept[query]!
  }

  /** Opens the parents of ranks `low` up to `high`, parent by parent. */
  #open(level: number, count: number, low: number, high: number): void {
    const places = this.#places.fill(0, 0, this.#expansion.levels[level]!.parents + 1)
    const above = this.#above
    const kept = this.#kept
    let pairs = 0
    for (let query = 0; query < count; query++) {
      const { nodes, count: found } = above[query]!
      const end = Math.min(high, found)
      for (let rank = low; rank < end; rank++) places[nodes[rank]! + 1]!++
      pairs += Math.max(0, end - low)
    }
    for (let p = 1; p < places.length; p++) places[p]! += places[p - 1]!
    if (pairs > this.#queries.length) {
      this.#queries = new Int32Array(2 * pairs)
      this.#ranks = new Int32Array(2 * pairs)
    }
    for (let query = 0; query < count; query++) {
      const { nodes, count: found } = above[query]!
      const end = Math.min(high, found)
      for (let rank = low; rank < end; rank++) {
        const place = places[nodes[rank]!]!++
        this.#queries[place] = query
        this.#ranks[place] = rank
      }
    }
    for (let i = 0; i < pairs; i++) {
      const query = this.#queries[i]!
      const rank = this.#ranks[i]!
      const { nodes, scores } = above[query]!
      this.#expansion.expand(level, nodes[rank]!, scores[rank]!, query, kept[query]!)
    }
  }
}
