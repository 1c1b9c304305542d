/** Training as the command line and `retrain` want it: off the event loop, on as many cores as one likes. */

import type { XmcModel } from '../../operators/xmc/model.ts'
import { trainXmc } from '../../operators/xmc/rankers/train.ts'
import type { XmcTraining } from '../../operators/xmc/rankers/training.ts'
import type { CsrMatrix } from '../../operators/xmc/sparse/csr-matrix.ts'
import type { LabelTree } from '../../operators/xmc/tree/label-tree.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { inSharedMemory, solveInThreads } from './threads.ts'

/**
 * `trainXmc` in worker threads: the same model, whatever their number.
 *
 * @param X copied to shared memory, unless it lies there
 * @param threads at most; at least 1
 * @param signal ends the training at once
 * @throws MillraceError as `trainXmc`, and INVALID_CONFIG for a number of threads that is none; the signal's reason
 */
export const trainWithThreads = async (
  X: CsrMatrix,
  Y: CsrMatrix,
  tree: LabelTree,
  options: Partial<XmcTraining>,
  threads: number,
  signal?: AbortSignal,
): Promise<XmcModel> => {
  if (!Number.isInteger(threads) || threads < 1) {
    throw new MillraceError('INVALID_CONFIG', `threads: ${threads} is not a whole number from 1`)
  }
  return trainXmc(inSharedMemory(X), Y, tree, options, solveInThreads(threads, signal))
}
