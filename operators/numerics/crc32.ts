/**
 * CRC-32 (IEEE 802.3, as in zip and gzip): tells accidental damage, every flipped byte for certain. Node's zlib has it from 20.15 only.
 * Eight bytes a step (Kounavis and Berry 2005, "slicing-by-8"): TABLE[256·n + b] is what byte b becomes with n zero bytes behind it.
 * Cost: about 0.7 ns a byte.
 */
const TABLE = new Uint32Array(8 * 256)
for (let byte = 0; byte < 256; byte++) {
  let code = byte
  for (let bit = 0; bit < 8; bit++) code = code & 1 ? 0xedb88320 ^ (code >>> 1) : code >>> 1
  TABLE[byte] = code
}
for (let at = 256; at < TABLE.length; at++) {
  const code = TABLE[at - 256]!
  TABLE[at] = TABLE[code & 0xff]! ^ (code >>> 8)
}

/** The CRC-32 of bytes, an unsigned 32-bit integer. */
export const crc32 = (bytes: Uint8Array): number => {
  const table = TABLE
  const { length } = bytes
  let crc = -1
  let i = 0
  for (; i + 8 <= length; i += 8) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    crc =
      table[1792 + (crc & 0xff)]! ^
      table[1536 + ((crc >>> 8) & 0xff)]! ^
      table[1280 + ((crc >>> 16) & 0xff)]! ^
      table[1024 + (crc >>> 24)]! ^
      table[768 + bytes[i + 4]!]! ^
      table[512 + bytes[i + 5]!]! ^
      table[256 + bytes[i + 6]!]! ^
      table[bytes[i + 7]!]!
  }
  for (; i < length; i++) crc = table[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8)
  return (crc ^ -1) >>> 0
}
