/** Multisets, and what one lacks or has too much of against another. */

/** What a row found: of all that should be there, how much is missing, and how much is there too often. */
export interface Verdict {
  lost: number
  doubled: number
  /** What is wrong, in words; the first of each kind. */
  readonly differences: string[]
}

export const newVerdict = (): Verdict => ({ lost: 0, doubled: 0, differences: [] })

const SHOWN = 5

export const tallyOf = (keys: Iterable<string>): Map<string, number> => {
  const tally = new Map<string, number>()
  for (const key of keys) tally.set(key, (tally.get(key) ?? 0) + 1)
  return tally
}

/** Holds what is there against what should be; both are multisets of lines that say all that matters of a thing. */
export const compare = (
  verdict: Verdict,
  what: string,
  expected: Iterable<string>,
  found: Iterable<string>,
): void => {
  const wanted = tallyOf(expected)
  const there = tallyOf(found)
  const missing: string[] = []
  const surplus: string[] = []
  for (const [key, count] of wanted) for (let n = there.get(key) ?? 0; n < count; n++) missing.push(key)
  for (const [key, count] of there) for (let n = wanted.get(key) ?? 0; n < count; n++) surplus.push(key)
  verdict.lost += missing.length
  verdict.doubled += surplus.length
  const tell = (kind: string, keys: readonly string[]) => {
    if (keys.length === 0) return
    verdict.differences.push(`${what}: ${keys.length} ${kind}: ${keys.slice(0, SHOWN).join(' | ')}`)
  }
  tell('missing', missing)
  tell('too many', surplus)
}

/** Notes what must be equal and is not; counts as neither lost nor doubled. */
export const expectEqual = (verdict: Verdict, what: string, expected: unknown, found: unknown): void => {
  if (!Object.is(expected, found)) verdict.differences.push(`${what}: expected ${expected}, found ${found}`)
}
