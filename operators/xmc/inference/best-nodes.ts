/**
 * The best of many nodes by score, ties by smaller number: a binary heap, the worst on top, that holds so many at most. Cost: O(log capacity) a
 * node that gets in, one comparison for any other. Allocates only when it is given a larger capacity than ever before.
 */
export class BestNodes {
  /** The first `count` are those held; one more place is for the node that is offered. */
  nodes: Int32Array
  scores: Float64Array
  #capacity = 0
  #count = 0

  constructor(capacity: number) {
    this.nodes = new Int32Array(capacity + 1)
    this.scores = new Float64Array(capacity + 1)
    this.#capacity = capacity
  }

  get count(): number {
    return this.#count
  }

  get capacity(): number {
    return this.#capacity
  }

  /** What a score must reach to get in: the worst one's when full. */
  get least(): number {
    return this.#count === this.#capacity ? this.scores[0]! : Number.NEGATIVE_INFINITY
  }

  /** Empties it. @param capacity at least 1 */
  clear(capacity: number): void {
    if (capacity >= this.nodes.length) {
      this.nodes = new Int32Array(capacity + 1)
      this.scores = new Float64Array(capacity + 1)
    }
    this.#capacity = capacity
    this.#count = 0
  }

  /** Takes a node in, in place of the worst where it is full; or does not, where the node is no better. */
  offer(node: number, score: number): void {
    this.nodes[this.#capacity] = node
    this.scores[this.#capacity] = score
    this.#consider()
  }

  /** Offers `nodes[start + places[i]]` by `scores[i]`, for each i below `count`. */
  offerAll(nodes: Int32Array, start: number, places: Int32Array, scores: Float64Array, count: number): void {
    for (let i = 0; i < count; i++) {
      this.nodes[this.#capacity] = nodes[start + places[i]!]!
      this.scores[this.#capacity] = scores[i]!
      this.#consider()
    }
  }

  /** Takes in what lies behind the heap, or does not. Scores are handed on in arrays: as arguments each might become an object. */
  #consider(): void {
    const { nodes, scores } = this
    const spare = this.#capacity
    if (this.#count < spare) this.#rise(this.#count++, spare)
    else if (scores[spare]! > scores[0]! || (scores[spare] === scores[0] && nodes[spare]! < nodes[0]!))
      this.#sink(spare, spare)
  }

  /** Orders what it holds, best first. It takes nothing more until it is cleared. */
  sort(): void {
    const { nodes, scores } = this
    const spare = this.#capacity
    for (let end = this.#count - 1; end > 0; end--) {
      nodes[spare] = nodes[end]!
      scores[spare] = scores[end]!
      nodes[end] = nodes[0]!
      scores[end] = scores[0]!
      this.#sink(end, spare)
    }
  }

  /** Orders what it holds by number instead. */
  sortByNode(): void {
    const { nodes, scores } = this
    for (let i = 1; i < this.#count; i++) {
      const node = nodes[i]!
      const score = scores[i]!
      let k = i
      for (; k > 0 && nodes[k - 1]! > node; k--) {
        nodes[k] = nodes[k - 1]!
        scores[k] = scores[k - 1]!
      }
      nodes[k] = node
      scores[k] = score
    }
  }

  /** Puts what lies at `from` into the heap, which ends at `end`, where nothing lies. */
  #rise(end: number, from: number): void {
    const { nodes, scores } = this
    const node = nodes[from]!
    const score = scores[from]!
    let at = end
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!(score < scores[above]! || (score === scores[above]! && node > nodes[above]!))) break
      nodes[at] = nodes[above]!
      scores[at] = scores[above]!
      at = above
    }
    nodes[at] = node
    scores[at] = score
  }

  /** Puts what lies at `from` into the heap, which ends at `end`, in place of its top. */
  #sink(end: number, from: number): void {
    const { nodes, scores } = this
    const node = nodes[from]!
    const score = scores[from]!
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= end) break
      const other = below + 1
      if (
        other < end &&
        (scores[other]! < scores[below]! ||
          (scores[other]! === scores[below]! && nodes[other]! > nodes[below]!))
      )
        below = other
      if (!(scores[below]! < score || (scores[below]! === score && nodes[below]! > node))) break
      nodes[at] = nodes[below]!
      scores[at] = scores[below]!
      at = below
    }
    nodes[at] = node
    scores[at] = score
  }
}
