/** What a replay has found equal, what not, and what it could not look at. */
export type Compared = 'snapshots' | 'decisions'

export interface Counts {
  readonly equal: number
  readonly different: number
  /** By why. */
  readonly unchecked: Readonly<Record<string, number>>
}

/** Differences told in words. */
const MOST_TOLD = 5

export class Comparison {
  /** The first differences. */
  readonly differences: string[] = []
  /** What is worth knowing and no difference. */
  readonly notes: string[] = []
  readonly #counts = { snapshots: counts(), decisions: counts() }

  /** Whether anything was found to differ. */
  get different(): boolean {
    return this.#counts.snapshots.different + this.#counts.decisions.different > 0
  }

  of(what: Compared): Counts {
    const { equal, different, unchecked } = this.#counts[what]
    return { equal, different, unchecked: Object.fromEntries(unchecked) }
  }

  agrees(what: Compared): void {
    this.#counts[what].equal++
  }

  differs(what: Compared, how: string): void {
    this.#counts[what].different++
    if (this.differences.length < MOST_TOLD) this.differences.push(how)
  }

  unchecked(what: Compared, why: string): void {
    const { unchecked } = this.#counts[what]
    unchecked.set(why, (unchecked.get(why) ?? 0) + 1)
  }

  note(text: string): void {
    this.notes.push(text)
  }
}

const counts = () => ({ equal: 0, different: 0, unchecked: new Map<string, number>() })
