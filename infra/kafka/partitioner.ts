/**
 * Kafka's partitioning of keys: the 32-bit MurmurHash2 (Appleby 2008) with the seed of Kafka's Java client, so that records
 * keyed here and by JVM producers meet in the same partition. One pass over the key, no allocation.
 */

const SEED = 0x9747b28c
const M = 0x5bd1e995

/** The signed 32-bit hash of a key's bytes, bit for bit that of Java's `Utils.murmur2`. */
export const murmur2 = (key: Uint8Array): number => {
  const length = key.length
  let hash = SEED ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let word = key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24)
    word = Math.imul(word, M)
    word ^= word >>> 24
    hash = Math.imul(hash, M) ^ Math.imul(word, M)
  }
  const rest = length - at
  if (rest > 0) {
    if (rest > 2) hash ^= key[at + 2]! << 16
    if (rest > 1) hash ^= key[at + 1]! << 8
    hash = Math.imul(hash ^ key[at]!, M)
  }
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}

/**
 * The partition of a key, in [0, partitions). The sign bit is cleared, as Java does: not the absolute value.
 * A record without a key has no such partition; the writer deals those out in turn.
 */
export const partitionOf = (key: Uint8Array, partitions: number): number =>
  (murmur2(key) & 0x7fffffff) % partitions
