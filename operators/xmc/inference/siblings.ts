/** The nodes of one level by their parents: what a beam opens. */
import type { BestNodes } from './best-nodes.ts'

export class Siblings {
  /** Children of parent p: `children[first[p]]` up to `first[p + 1]`, smallest first. */
  readonly first: Int32Array
  readonly children: Int32Array
  /** Children of the parent that has most. */
  readonly widest: number

  /** @param parents of each node @param above nodes of the level above */
  constructor(parents: Int32Array, above: number) {
    const first = new Int32Array(above + 1)
    for (const parent of parents) first[parent + 1]!++
    let widest = 0
    for (let p = 0; p < above; p++) {
      widest = Math.max(widest, first[p + 1]!)
      first[p + 1]! += first[p]!
    }
    const next = first.slice()
    this.children = new Int32Array(parents.length)
    parents.forEach((parent, node) => {
      this.children[next[parent]!++] = node
    })
    this.first = first
    this.widest = widest
  }

  /** Nodes of the level above. */
  get parents(): number {
    return this.first.length - 1
  }

  /** Children of all these parents together. */
  childrenOf(parents: BestNodes): number {
    let sum = 0
    for (let i = 0; i < parents.count; i++) {
      const parent = parents.nodes[i]!
      sum += this.first[parent + 1]! - this.first[parent]!
    }
    return sum
  }
}
