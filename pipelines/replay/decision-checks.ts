/**
 * Decisions made again. An outcome comes long after its decision: in between the policy has learned whatever else closed. So outcomes are read
 * ahead of the fold, what each says of its decision waits here for the fold to come to that state, and then the decision is made of its request and must be
 * the same. Requests are fetched many at a time.
 */
import { Decider } from '../../operators/bandits/decide.ts'
import type { PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { BinaryHeap } from '../../operators/streams/binary-heap.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Comparison } from './comparison.ts'
import { type Decided, decidedIn, fingerprintOf } from './decided.ts'
import type { OutcomeAt, OutcomeBlock } from './outcomes.ts'
import type { FoundRequest, Requests } from './requests.ts'

/** A decision that only waits for its state. */
interface Ready {
  readonly decided: Decided
  readonly request: FoundRequest
}

export class DecisionChecks {
  readonly #comparison: Comparison
  readonly #requests: Requests
  readonly #deciders: ReadonlyMap<number, Decider>
  /** Most decisions that wait without their requests. */
  readonly #window: number
  readonly #waiting = new BinaryHeap<Decided>()
  #ready: Ready[] = []
  #at = 0
  #ahead: AsyncGenerator<OutcomeBlock, void> | null
  /** Where the fold began, as a `stateOffset`. */
  readonly #begun: number
  /** Versions that the log defines. */
  readonly #known: ReadonlySet<number>
  /** How far the fold has come, as a `stateOffset`: to be kept up to date by who folds. */
  reach: number

  /**
   * @param ahead the outcomes whose decisions are checked
   * @param versions the tables that the fold moves, by the versions that decide in them
   */
  constructor(
    ahead: AsyncGenerator<OutcomeBlock, void>,
    versions: readonly (readonly [version: number, table: PolicyTable])[],
    requests: Requests,
    comparison: Comparison,
    options: { readonly window: number; readonly begun: number; readonly known: ReadonlySet<number> },
  ) {
    this.#ahead = ahead
    this.#deciders = new Map(versions.map(([version, table]) => [version, new Decider(table)]))
    this.#requests = requests
    this.#comparison = comparison
    this.#window = options.window
    this.#begun = options.begun
    this.#known = options.known
    this.reach = options.begun
  }

  /** The earliest state at which something is to be done. */
  get next(): number {
    if (this.#mayFill) return Number.NEGATIVE_INFINITY
    return Math.min(
      this.#ready[this.#at]?.decided.stateOffset ?? Number.POSITIVE_INFINITY,
      this.#waiting.minimum,
    )
  }

  get #mayFill(): boolean {
    return this.#ahead !== null && this.#waiting.size < this.#window / 2
  }

  /** Makes all decisions again that want the present state, which is that of every offset up to `limit`. */
  async check(limit: number): Promise<void> {
    for (;;) {
      let ready = this.#ready[this.#at]
      for (; ready !== undefined && ready.decided.stateOffset <= limit; ready = this.#ready[++this.#at])
        this.#remake(ready)
      if (this.#mayFill) await this.#fill()
      if (this.#waiting.minimum > limit) return
      await this.#prepare(limit)
    }
  }

  /**
   * What never came to its state: of a policy that is not split that is a difference, since no outcome lies before the state of its decision; the
   * parts of a split one may end apart.
   */
  end(split: boolean): void {
    const rest = this.#ready.slice(this.#at).map(({ decided }) => decided)
    for (let one = this.#waiting.pop(); one !== undefined; one = this.#waiting.pop()) rest.push(one)
    for (const decided of rest) {
      if (split) this.#comparison.unchecked('decisions', 'made at a state that the range does not come to')
      else this.#differs(decided, 'its own outcome does not come after that state')
    }
  }

  async close(): Promise<void> {
    await this.#ahead?.return()
  }

  /** Reads ahead of the fold. */
  async #fill(): Promise<void> {
    while (this.#ahead !== null && this.#waiting.size < this.#window) {
      const { value } = await this.#ahead.next()
      if (value === undefined) this.#ahead = null
      else for (const outcome of value.outcomes) this.#add(outcome)
    }
  }

  #add(at: OutcomeAt): void {
    const { outcome } = at
    const unchecked = (why: string): void => this.#comparison.unchecked('decisions', why)
    if (outcome === null) unchecked('their outcomes cannot be read')
    else if (outcome.stateOffset < this.#begun)
      unchecked('made at a state before the one that the fold began with')
    else if (outcome.stateOffset < this.reach) unchecked('their outcomes come too long after them')
    else if (!this.#known.has(outcome.policyVersion)) unchecked('of a version that the log does not define')
    else if (!this.#deciders.has(outcome.policyVersion))
      unchecked('of a version whose state began before the one that decides now, or is split otherwise')
    else this.#waiting.push(outcome.stateOffset, decidedIn(at, outcome))
  }

  /** Fetches the requests of the next decisions: as many as may be held at once, unless some are held for later. */
  async #prepare(limit: number): Promise<void> {
    const held = this.#ready.slice(this.#at)
    const upTo = held.length === 0 ? Number.POSITIVE_INFINITY : limit
    const taken: Decided[] = []
    while (this.#waiting.minimum <= upTo && taken.length < this.#requests.atOnce) {
      const next = this.#waiting.pop()
      if (next === undefined) break
      taken.push(next)
    }
    const requests = await this.#requests.at(taken)
    const ready = taken.map((decided, i) => ({ decided, request: requests[i]! }))
    this.#ready = [...ready, ...held].sort((a, b) => a.decided.stateOffset - b.decided.stateOffset)
    this.#at = 0
  }

  #remake({ decided, request }: Ready): void {
    if (typeof request === 'string') {
      const why = request === 'OFFSET_OUT_OF_RANGE' ? 'their requests are gone' : `their requests: ${request}`
      this.#comparison.unchecked('decisions', why)
    } else if (request.requestId !== decided.requestId) {
      this.#differs(decided, `the request there is now "${request.requestId}"`)
    } else {
      const position = { partition: decided.requestPartition, offset: decided.requestOffset }
      try {
        const again = this.#deciders.get(decided.version)!.decide(request, position, 0)
        if (fingerprintOf(again) === decided.fingerprint) this.#comparison.agrees('decisions')
        else this.#differs(decided, difference(decided, again))
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        this.#differs(decided, `made again it is refused with ${error.code}`)
      }
    }
  }

  #differs({ requestId, version, part, offset, stateOffset }: Decided, how: string): void {
    const which = `decision "${requestId}" of version ${version} at state ${stateOffset} (part ${part}, outcome ${offset})`
    this.#comparison.differs('decisions', `${which}: ${how}`)
  }
}

const difference = (logged: Decided, again: Pick<Decided, 'arm' | 'propensity'>): string => {
  const said = ({ arm, propensity }: typeof again): string => `"${arm}" with ${propensity}`
  if (said(logged) === said(again))
    return `made again it is ${said(again)} too, with other probabilities, vector, parameters or names`
  return `it was ${said(logged)}, made again it is ${said(again)}`
}
