/**
 * CRC-64-AVRO: the Rabin fingerprint by which Avro's single-object encoding names a schema (Avro specification, "Schema
 * Fingerprints"). One table look-up a byte; schemas are fingerprinted once, so clarity comes before speed.
 */
const EMPTY = 0xc15d213aa4d7a795n

const TABLE = Array.from({ length: 256 }, (_, index) => {
  let entry = BigInt(index)
  for (let bit = 0; bit < 8; bit++) entry = (entry >> 1n) ^ (EMPTY & -(entry & 1n))
  return entry
})

/** The 64-bit fingerprint of a schema in parsing canonical form (UTF-8), as an unsigned integer. */
export const rabinFingerprint = (canonicalForm: string): bigint => {
  let fingerprint = EMPTY
  for (const byte of Buffer.from(canonicalForm, 'utf8')) {
    fingerprint = (fingerprint >> 8n) ^ TABLE[Number((fingerprint ^ BigInt(byte)) & 0xffn)]!
  }
  return fingerprint
}
