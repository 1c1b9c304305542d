/**
 * What chooses among the candidates of a hyper-parameter by the rewards they brought. Its state is a fold over rewards, so it lies in one array of
 * numbers; choosing only reads.
 */
export interface Tuner {
  /** Candidates: 1 or more. */
  readonly size: number
  /** Whether it learns from the candidate that was drawn; else from what each of them would have done. */
  readonly drawn: boolean
  /** The whole state. Written from outside only to restore it, with `changed` called afterwards. */
  readonly state: Float64Array
  /** To be called after `state` was written from outside. */
  changed(): void
  /** The probability of each candidate; overwritten by the next call. `uniform` is drawn from only where probabilities are estimated. */
  weigh(uniform: () => number): Float64Array
  /** Whether `learn` of this reward, with every weight up to `weight`, leaves all numbers finite. */
  canLearn(reward: number, weight: number): boolean
  /** Learns the reward of a decision for which the candidate at `index` was drawn, with this probability. */
  learnDrawn(reward: number, index: number, probability: number): void
  /**
   * Learns the reward of a decision that was not drawn by this tuner, or from all of its candidates at once.
   * @param weights of each candidate: an importance weight whose expectation is the share of decisions that it would have made so
   */
  learn(reward: number, weights: Float64Array): void
}
