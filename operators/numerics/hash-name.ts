/**
 * A 32-bit hash of a name for feature hashing: FNV-1a over its UTF-16 units, the bits then mixed by MurmurHash3's finaliser, so that the low
 * bits (the position) and the top bit (the sign) are each even. Not for adversaries: a name that collides can be found.
 */

/** @returns an unsigned 32-bit integer */
export const hashName = (name: string, seed = 0): number => {
  let h = 0x811c9dc5 ^ seed
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i)
    h = Math.imul(h ^ (unit & 0xff), 0x01000193)
    h = Math.imul(h ^ (unit >>> 8), 0x01000193)
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
