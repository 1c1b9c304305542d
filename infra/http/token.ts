/**
 * The bearer token of the HTTP surface. Digests are compared, in a time that does not depend on where they differ. A token that lies in a file is read
 * again once a second, so that it may be rotated.
 */
import { createHash, timingSafeEqual } from 'node:crypto'

/** Gives the token as it is now; see `Secret`. */
export interface TokenSource {
  reveal(): string
}

const FRESH_MS = 1_000
const BEARER = /^Bearer +(\S+) *$/i

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * Tells whether an `Authorization` header carries the token. While its file cannot be read the one before holds.
 * @param now a monotonic clock in milliseconds
 */
export const bearerCheck = (
  token: TokenSource,
  now: () => number = () => performance.now(),
): ((header: string | undefined) => boolean) => {
  let expected = digest(token.reveal())
  let readAt = now()
  return (header) => {
    if (now() - readAt > FRESH_MS) {
      readAt = now()
      try {
        expected = digest(token.reveal())
      } catch {}
    }
    const given = BEARER.exec(header ?? '')?.[1]
    return given !== undefined && timingSafeEqual(digest(given), expected)
  }
}
