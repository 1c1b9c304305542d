/** Options of training, and the rules that they keep. */
import { MillraceError } from '../../../schemas/errors.ts'
import type { Merge, Transform } from '../model.ts'
import type { CsrMatrix } from '../sparse/csr-matrix.ts'

/** Loss of a document with margin m: max(0, 1 − m)², max(0, 1 − m), ln(1 + e^−m). */
export type Loss = 'squared-hinge' | 'hinge' | 'logistic'

/**
 * The documents that the classifiers below a node learn from: `tfn`, teacher forcing, those with a label below the node; `man`, matcher-aware, those that
 * the beam search of the levels above leads there; both; or `usn`, what `matches` says. A classifier's own documents are always among them. The
 * first level learns from all.
 */
export type Negatives = 'tfn' | 'man' | 'tfn+man' | 'usn'

/** What a binary problem is solved by. */
export interface SolverSettings {
  readonly loss: Loss
  /** Weight of the loss of documents with the label, and of those without; above 0. */
  readonly C: { readonly positive: number; readonly negative: number }
  /** Projected gradients of a pass lie this close together at the end; above 0. */
  readonly eps: number
  /** Passes over the documents at most; at least 1. */
  readonly maxIterations: number
  /** Weights that are smaller are dropped; 0 keeps all but zeros. */
  readonly threshold: number
  /** The constant feature, its weight is regularised as all are; 0 for none. */
  readonly bias: number
}

export interface XmcTraining extends SolverSettings {
  readonly negatives: Negatives
  /** For `usn`: for each level below the first, documents × nodes of the level above. */
  readonly matches: readonly CsrMatrix[]
  /** Nodes kept a level: of the search that `man` learns from, and what the model asks to be searched by. At least 1. */
  readonly beam: number
  readonly transform: Transform
  readonly merge: Merge
  /** Label of each column behind the labels. */
  readonly copies: Int32Array
  /** Told now and then how many classifiers are done, of how many. */
  readonly onProgress: (done: number, total: number) => void
}

/** As PECOS 1.2 trains where it is told nothing. */
export const TRAINING_DEFAULTS: XmcTraining = {
  loss: 'squared-hinge',
  C: { positive: 1, negative: 1 },
  eps: 0.1,
  maxIterations: 100,
  threshold: 0.1,
  bias: 1,
  negatives: 'tfn',
  matches: [],
  beam: 10,
  transform: 'l3-hinge',
  merge: 'mean',
  copies: new Int32Array(0),
  onProgress: () => {},
}

/** @throws MillraceError INVALID_CONFIG naming the first option out of range */
export const checkTraining = (training: XmcTraining): void => {
  const { loss, C, eps, maxIterations, threshold, bias, negatives, beam } = training
  const whole = (value: number) => Number.isInteger(value) && value >= 1
  const positive = (value: number) => Number.isFinite(value) && value > 0
  const rules: readonly (readonly [string, unknown, boolean, string])[] = [
    ['loss', loss, ['squared-hinge', 'hinge', 'logistic'].includes(loss), 'squared-hinge, hinge or logistic'],
    ['C.positive', C.positive, positive(C.positive), 'a number above 0'],
    ['C.negative', C.negative, positive(C.negative), 'a number above 0'],
    ['eps', eps, positive(eps), 'a number above 0'],
    ['maxIterations', maxIterations, whole(maxIterations), 'a whole number from 1'],
    ['threshold', threshold, Number.isFinite(threshold) && threshold >= 0, 'a number from 0'],
    ['bias', bias, Number.isFinite(bias) && bias >= 0, 'a number from 0'],
    [
      'negatives',
      negatives,
      ['tfn', 'man', 'tfn+man', 'usn'].includes(negatives),
      'tfn, man, tfn+man or usn',
    ],
    ['beam', beam, whole(beam), 'a whole number from 1'],
  ]
  for (const [name, value, holds, rule] of rules) {
    if (!holds) throw new MillraceError('INVALID_CONFIG', `${name}: ${String(value)} is not ${rule}`)
  }
}
