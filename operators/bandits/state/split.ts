/**
 * The parts of a split policy. With `partitions: n` the outcomes of a policy are keyed `policy#k`, k being a stable hash of the request's id, so that they
 * spread over the partitions of their topic. The hash is part of the format: whoever writes outcomes and whoever follows them must agree,
 * and so must every later version.
 */
import { crc32 } from '../../numerics/crc32.ts'

const UTF8 = new TextEncoder()

/**
 * The part of a request's outcome, in [0, parts): CRC-32 of the id's UTF-8 bytes, modulo `parts`. Not Kafka's hash: requests whose ids meet in one
 * partition would meet in few parts.
 */
export const partOf = (requestId: string, parts: number): number =>
  parts === 1 ? 0 : crc32(UTF8.encode(requestId)) % parts

/** The key of a part's outcomes: `policy#part`; the policy's plain name where there is one part only. */
export const partKey = (policy: string, part: number, parts: number): string =>
  parts === 1 ? policy : `${policy}#${part}`

/** The parts of a definition; 1 where it says nothing. */
export const partsOf = ({ partitions = 1 }: { readonly partitions?: number }): number => partitions
