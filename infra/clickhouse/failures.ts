/**
 * Which failures of ClickHouse may pass when the same request is made again, and how a failure is told to people. Everything the
 * server says about the request itself (types, names, rights) is permanent; what it says about its own condition is not.
 */
import { ClickHouseError } from '@clickhouse/client'

/** Error types of ClickHouse that speak of the server's condition, not of the request. */
const PASSING = new Set([
  'ABORTED',
  'ALL_CONNECTION_TRIES_FAILED',
  'CANNOT_ALLOCATE_MEMORY',
  'CANNOT_FSYNC',
  'CANNOT_SCHEDULE_TASK',
  'CANNOT_WRITE_TO_FILE_DESCRIPTOR',
  'DEADLOCK_AVOIDED',
  'KEEPER_EXCEPTION',
  'MEMORY_LIMIT_EXCEEDED',
  'NETWORK_ERROR',
  'NOT_ENOUGH_SPACE',
  'NO_ACTIVE_REPLICAS',
  'NO_ZOOKEEPER',
  'QUERY_WAS_CANCELLED',
  'QUOTA_EXCEEDED',
  'REPLICA_IS_NOT_IN_QUORUM',
  'S3_ERROR',
  'SERVER_OVERLOADED',
  'SOCKET_TIMEOUT',
  'TABLE_IS_READ_ONLY',
  'TIMEOUT_EXCEEDED',
  'TOO_FEW_LIVE_REPLICAS',
  'TOO_MANY_PARTS',
  'TOO_MANY_SIMULTANEOUS_QUERIES',
  'UNEXPECTED_PACKET_FROM_SERVER',
  'UNFINISHED',
  'UNKNOWN_STATUS_OF_INSERT',
  'UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE',
])

/** A disk that is full, read-only or broken, whichever part of the server met it. */
const DISK = /No space left on device|Read-only file system|Input\/output error|errno: (5|28|30)\b/

/** Certificates, and errors of this program, do not get better by waiting. */
const LASTING = /CERT|SIGNED|SIGNATURE|^ERR_(TLS|SSL|OSSL|INVALID)|^EPROTO$/

const codeOfSystemError = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** Whether the same request may succeed later. */
export const isTransient = (error: unknown): boolean => {
  if (error instanceof ClickHouseError) return PASSING.has(error.type ?? '') || DISK.test(error.message)
  if (error instanceof TypeError || error instanceof RangeError || !(error instanceof Error)) return false
  return !LASTING.test(codeOfSystemError(error))
}

/** As `isTransient`, for a block: its user could write when recording began, so that a server set read-only since is waited for. */
export const isTransientForBlock = (error: unknown): boolean =>
  isTransient(error) || (error instanceof ClickHouseError && error.type === 'READONLY')

/** The failure in at most 400 characters: the server's type and first line, or the system's code. */
export const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const line = (error.message.split('\n', 1)[0] ?? '').slice(0, 400)
  if (error instanceof ClickHouseError) return `${error.type ?? error.code}: ${line}`
  const code = codeOfSystemError(error)
  return code === '' || line.includes(code) ? line || error.name : `${code}: ${line}`
}
