/**
 * Requests that were answered over HTTP lie in no topic of their own: each rides in a header of its decision's record, so that both are written or
 * neither is. A negative partition says so, and where: `partition` −1 in a decision means the decision's own record, −1 − p in an outcome the record
 * of the decision in partition p of `decisions`. Releases that do not know this find no such request, and say that it is gone.
 */
import type { RequestPosition } from '../../operators/bandits/decide.ts'

/** The header of a decision's record that holds its request, as the event `decision-request` in Avro. */
export const REQUEST_HEADER = 'millrace-request'

/** The place of a request that rides with its decision, as the decision says it. */
export const WITH_DECISION: RequestPosition = { partition: -1, offset: -1 }

/** Whether a request rides with its decision. */
export const isServed = (requestPartition: number): boolean => requestPartition < 0

/** The place of a request that rides with the decision at this place, as outcomes say it; and from there back, since it is its own inverse. */
export const throughDecisions = (partition: number): number => -1 - partition
