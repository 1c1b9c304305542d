/**
 * The order in which Python's `random.Random(seed).shuffle` leaves a list: the split of reference data was drawn so. The generator is MT19937 (Matsumoto and
 * Nishimura 1998), seeded by the list [seed].
 */

const N = 624
const M = 397

const seeded = (seed: number): Uint32Array => {
  const state = new Uint32Array(N)
  state[0] = 19_650_218
  const next = (i: number, factor: number): number =>
    Math.imul(state[i - 1]! ^ (state[i - 1]! >>> 30), factor)
  for (let i = 1; i < N; i++) state[i] = next(i, 1_812_433_253) + i
  let i = 1
  const wrap = (): void => {
    if (++i < N) return
    state[0] = state[N - 1]!
    i = 1
  }
  for (let k = 0; k < N; k++, wrap()) state[i] = (state[i]! ^ next(i, 1_664_525)) + seed
  for (let k = 1; k < N; k++, wrap()) state[i] = (state[i]! ^ next(i, 1_566_083_941)) - i
  state[0] = 0x80000000
  return state
}

const generator = (seed: number): (() => number) => {
  const state = seeded(seed)
  let at = N
  return () => {
    if (at === N) {
      for (let i = 0; i < N; i++) {
        const y = (state[i]! & 0x80000000) | (state[(i + 1) % N]! & 0x7fffffff)
        state[i] = state[(i + M) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
      }
      at = 0
    }
    let y = state[at++]!
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }
}

/** Below 2^32 items. */
export const pythonShuffled = <T>(items: readonly T[], seed: number): T[] => {
  const random = generator(seed)
  const shuffled = [...items]
  for (let i = shuffled.length - 1; i > 0; i--) {
    const bits = 32 - Math.clz32(i + 1)
    let j = random() >>> (32 - bits)
    while (j > i) j = random() >>> (32 - bits)
    const other = shuffled[i]!
    shuffled[i] = shuffled[j]!
    shuffled[j] = other
  }
  return shuffled
}
