/**
 * The challengers of one policy over its outcomes: each outcome is read once, its request fetched where it points, and every challenger judges and learns
 * it. What has been judged is a fold of the log and is kept nowhere else: a start folds it again, from where the earliest of the versions begins.
 */
import type { PromotionConfig } from '../../infra/config/promotion.ts'
import type { Batch, TopicOffsets } from '../../infra/kafka/port.ts'
import { type LivePolicy, liveDefinitions, PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { challengersOf } from '../../operators/bandits/state/versions.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Outcome, PolicyDefinition } from '../../schemas/generated/events.ts'
import { ownInput, readBatch } from '../delivery/inputs.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'
import { Requests } from '../replay/requests.ts'
import { promote } from '../states/promotion.ts'
import { partitionsOf } from '../states/snapshot-log.ts'
import { Challenger, type Figure } from './challenger.ts'

const BY_HAND: PromotionConfig = { automatic: false, alpha: 0.05, minimum: 1_000, rewards: [0, 1] }

export class PolicyChallenge {
  /** Where the next outcomes lie, by partition. */
  readonly positions = new Map<number, number>()
  readonly challengers: readonly Challenger[]
  readonly #runtime: Runtime
  readonly #live: LivePolicy
  readonly #promotion: PromotionConfig
  #asked = false

  /**
   * @param definitions every version of one policy, of which one decides
   * @param outcomes what there is of `outcomes`, by partition
   */
  constructor(runtime: Runtime, definitions: readonly PolicyDefinition[], outcomes: readonly TopicOffsets[]) {
    this.#runtime = runtime
    const live = [...new PolicyTable(definitions)][0]!
    this.#live = live
    const champion = liveDefinitions(definitions).get(live.name)!
    this.#promotion = runtime.config.policies.find(({ name }) => name === live.name)?.promote ?? BY_HAND
    const found = challengersOf(definitions, champion)
    const { alpha, rewards } = this.#promotion
    const options = { champion, rewards, alpha: alpha / found.length }
    this.challengers = found.flatMap((definition) => this.#open(definition, options))
    const from = Math.min(...found.map(({ effectiveFrom }) => effectiveFrom))
    for (const partition of partitionsOf(live, outcomes.length)) {
      const earliest = outcomes.find((each) => each.partition === partition)?.earliest ?? 0
      this.positions.set(partition, Math.max(earliest, live.parts === 1 ? from : 0))
    }
  }

  #open(definition: PolicyDefinition, options: ConstructorParameters<typeof Challenger>[1]): Challenger[] {
    try {
      return [new Challenger(definition, options)]
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      const { policy, version } = definition
      const { code, message } = error
      this.#runtime.log.warn({ policy, version, code }, `a challenger cannot be judged: ${message}`)
      return []
    }
  }

  /** Judges and learns the policy's outcomes of a batch. @returns how many there were */
  async take(batch: Batch): Promise<number> {
    const { codec, log } = this.#runtime
    const { name, keys } = this.#live
    const records = batch.records.filter(({ key }) => key !== null && keys.includes(key.toString()))
    const inputs = [ownInput(codec, batch.topic, 'outcome')]
    const { events, refused } = await readBatch({ ...batch, records }, inputs, log)
    for (const { code } of refused) for (const challenger of this.challengers) challenger.refuse(code)
    const own = events.flatMap((outcome, i): [Outcome, number][] =>
      outcome?.policy === name ? [[outcome, records[i]!.offset]] : [],
    )
    for (let at = 0; at < own.length; ) {
      // Made anew each time: it remembers where the requests ended.
      const requests = new Requests(this.#runtime)
      const some = own.slice(at, at + requests.atOnce)
      at += some.length
      const found = await requests.at(some.map(([outcome]) => outcome))
      for (const [i, [outcome, offset]] of some.entries()) this.#judge(outcome, offset, found[i]!)
    }
    this.positions.set(batch.partition, batch.nextOffset)
    return own.length
  }

  #judge(outcome: Outcome, offset: number, request: Awaited<ReturnType<Requests['at']>>[number]): void {
    for (const challenger of this.challengers) {
      if (this.#live.parts === 1 && offset < challenger.definition.effectiveFrom) continue
      if (typeof request === 'string') challenger.refuse(request)
      else challenger.step(request, outcome)
    }
  }

  get figures(): Figure[] {
    return this.challengers.flatMap(({ figures }) => figures)
  }

  /** Promotes the challenger whose test says most for it, where that is configured and enough. What is refused is said once. */
  async promoteDue(): Promise<void> {
    const { automatic, minimum } = this.#promotion
    if (!automatic || this.#asked) return
    const due = this.challengers
      .filter((challenger) => challenger.isBetter && challenger.verdict.steps >= minimum)
      .sort((a, b) => b.verdict.lower - a.verdict.lower)[0]
    if (due === undefined) return
    this.#asked = true
    const { log } = this.#runtime
    const { policy, version } = due.definition
    const { steps, difference, lower } = due.verdict
    const what = { policy, version, steps, difference, lower }
    try {
      await promote(this.#runtime, policy, { version })
      log.info(what, 'a challenger is promoted: its test says that it earns more')
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code === 'KAFKA_UNAVAILABLE') throw error
      const { code, message } = error
      log.warn({ ...what, code }, `a challenger that earns more is not promoted: ${message}`)
    }
  }
}

/** The topic that it follows. */
export const challengeTopic = (runtime: Pick<Runtime, 'config'>): string => topicOf(runtime.config, 'outcome')
