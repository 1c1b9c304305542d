/** Beam search as its definition says it, over dense rows, all nodes sorted: what the fast one is held against. */
import type { SearchSettings, Transform, XmcModel } from '../../../../operators/xmc/model.ts'

export interface Scored {
  readonly node: number
  readonly score: number
}

const hinge = (value: number): number => Math.max(0, 1 - value)
const COMBINE: Readonly<Record<Transform, (value: number, parent: number) => number>> = {
  'l1-hinge': (v, parent) => parent * Math.exp(-hinge(v)),
  'l2-hinge': (v, parent) => parent * Math.exp(-(hinge(v) ** 2)),
  'l3-hinge': (v, parent) => parent * Math.exp(-(hinge(v) ** 3)),
  sigmoid: (v, parent) => parent / (1 + Math.exp(-v)),
  'log-l1-hinge': (v, parent) => parent - hinge(v),
  'log-l2-hinge': (v, parent) => parent - hinge(v) ** 2,
  'log-l3-hinge': (v, parent) => parent - hinge(v) ** 3,
  'log-sigmoid': (v, parent) => parent - Math.log(1 + Math.exp(-v)),
  identity: (v) => v,
}

export const ranked = (scored: readonly Scored[]): Scored[] =>
  [...scored].sort((a, b) => b.score - a.score || a.node - b.node)

/** The beam after each level; after the last, every column scored. */
export const naiveLevels = (
  model: XmcModel,
  query: ReadonlyMap<number, number>,
  { beam, transform }: SearchSettings,
): Scored[][] => {
  let above: Scored[] = [{ node: 0, score: transform.startsWith('log') || transform === 'identity' ? 0 : 1 }]
  return model.weights.map(({ pointers, indices, values }, t) => {
    const parents = model.tree.parents[t]!
    const children = above.flatMap(({ node: parent, score }) =>
      Array.from(parents.keys())
        .filter((node) => parents[node] === parent)
        .map((node) => {
          const weight = new Map<number, number>()
          for (let k = pointers[node]!; k < pointers[node + 1]!; k++) weight.set(indices[k]!, values[k]!)
          let value = model.bias * (weight.get(model.features) ?? 0)
          for (const [feature, x] of query) value += Math.fround(x) * (weight.get(feature) ?? 0)
          return { node, score: COMBINE[transform](value, score) }
        }),
    )
    above = t === model.weights.length - 1 ? ranked(children) : ranked(children).slice(0, beam)
    return above
  })
}

/** Labels of a query, copies merged among the best 160 columns. */
export const naiveSearch = (
  model: XmcModel,
  query: ReadonlyMap<number, number>,
  settings: SearchSettings,
): Scored[] => {
  const columns = naiveLevels(model, query, settings).at(-1)!
  if (model.copies.length === 0) return columns
  const scores = new Map<number, number[]>()
  for (const { node, score } of columns.slice(0, 160)) {
    const label = node < model.labels ? node : model.copies[node - model.labels]!
    scores.set(label, [...(scores.get(label) ?? []), score])
  }
  const merged = { max: Math.max, sum: total, mean: (...s: number[]) => total(...s) / s.length }[
    settings.merge
  ]
  return ranked([...scores].map(([node, all]) => ({ node, score: merged(...all) })))
}

const total = (...scores: number[]): number => scores.reduce((sum, score) => sum + score, 0)
