/**
 * Kafka's wire protocol as far as a fault needs it: where a frame begins and ends, what a request asks, and for which transactional id.
 * Understands the old headers and the flexible ones, so that any client may stand behind the proxy.
 */

/** What a row may wait for, with its number in the protocol. */
const APIS = {
  Produce: 0,
  Fetch: 1,
  Metadata: 3,
  OffsetCommit: 8,
  OffsetFetch: 9,
  FindCoordinator: 10,
  JoinGroup: 11,
  Heartbeat: 12,
  LeaveGroup: 13,
  SyncGroup: 14,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
} as const

export type ApiName = keyof typeof APIS

const NAMES = new Map<number, ApiName>(Object.entries(APIS).map(([name, key]) => [key, name as ApiName]))

/** First version with compact strings and tagged fields, of those whose bodies are read here. */
const FLEXIBLE_FROM: Partial<Record<ApiName, number>> = {
  Produce: 9,
  InitProducerId: 2,
  AddPartitionsToTxn: 3,
  AddOffsetsToTxn: 3,
  EndTxn: 3,
  TxnOffsetCommit: 3,
}

export interface Request {
  /** Undefined for what no row waits for. */
  readonly api: ApiName | undefined
  readonly version: number
  readonly correlationId: number
  readonly clientId: string
  /** '' where the request has none. */
  readonly transactionalId: string
  /** Of EndTxn: whether it commits. */
  readonly commits: boolean
}

/** Calls `each` with every frame that has come whole, its four bytes of length included. */
export const frames = (each: (frame: Buffer) => void): ((chunk: Buffer) => void) => {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0)
      each(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
  }
}

/** The correlation id of a reply. */
export const correlationOf = (reply: Buffer): number => reply.readInt32BE(4)

/** What a request frame asks. */
export const requestOf = (frame: Buffer): Request => {
  const api = NAMES.get(frame.readInt16BE(4))
  const version = frame.readInt16BE(6)
  const correlationId = frame.readInt32BE(8)
  const nameLength = frame.readInt16BE(12)
  let at = 14 + Math.max(nameLength, 0)
  const clientId = nameLength > 0 ? frame.toString('utf8', 14, at) : ''
  const plain = { api, version, correlationId, clientId, transactionalId: '', commits: false }
  const flexibleFrom = api === undefined ? undefined : FLEXIBLE_FROM[api]
  if (flexibleFrom === undefined || (api === 'Produce' && version < 3)) return plain
  const flexible = version >= flexibleFrom
  // No client sends tagged fields in its header: one byte says that there are none.
  if (flexible) at += 1
  const length = flexible ? frame.readUInt8(at) - 1 : frame.readInt16BE(at)
  at += flexible ? 1 : 2
  const transactionalId = length > 0 ? frame.toString('utf8', at, at + length) : ''
  // EndTxn goes on with producer id (8 bytes) and epoch (2), then says which end it is.
  const commits = api === 'EndTxn' && frame.readInt8(at + length + 10) === 1
  return { ...plain, transactionalId, commits }
}
