/**
 * `learn`: the fold of outcomes into the policies' states. An outcome that cannot be learned from is refused with its code and changes
 * nothing; every follower refuses the same ones.
 */
import { map, type OperatorFunction } from 'rxjs'
import { MillraceError } from '../../schemas/errors.ts'
import type { Inbound, Refused } from '../streams/batch.ts'
import type { PolicyTable } from './state/policy-table.ts'

export interface Learned {
  readonly learned: number
  readonly refused: readonly Refused[]
}

/** Folds batches of outcomes into the table's states. */
export const learn =
  (table: PolicyTable): OperatorFunction<Inbound<'outcome'>, Learned> =>
  (source) =>
    source.pipe(
      map(({ batch, events, refused }) => {
        const refusals: Refused[] = [...refused]
        let learned = 0
        for (let index = 0; index < events.length; index++) {
          const outcome = events[index]
          if (outcome == null) continue
          try {
            const { offset, key } = batch.records[index]!
            table.learn(outcome, offset, key)
            learned++
          } catch (error) {
            if (!(error instanceof MillraceError)) throw error
            refusals.push({ index, stage: 'learn', code: error.code, message: error.message })
          }
        }
        return { learned, refused: refusals }
      }),
    )
