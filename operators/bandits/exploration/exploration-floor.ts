/**
 * The uniform floor under every policy: p = (1 − ε)·π + ε/K. A policy that never tries an arm leaves a log from which nothing can be said about that arm;
 * with a floor of ε every arm has probability at least ε/K, so that any other policy can be evaluated on the log.
 */

/** The arm at which the running sum of the probabilities first exceeds `u` in [0, 1); the last arm where rounding leaves none. */
export const drawArm = (probabilities: Float64Array, count: number, u: number): number => {
  let sum = 0
  for (let a = 0; a < count - 1; a++) {
    sum += probabilities[a]!
    if (u < sum) return a
  }
  return count - 1
}
