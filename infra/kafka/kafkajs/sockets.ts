/**
 * Sockets that notice when the other side is gone without a word (a line cut, a machine dead, a broker that stands still). kafkajs lets
 * a request time out and keeps the connection, which a dead line then holds for a quarter of an hour. Here a socket that was written to
 * and heard nothing for a while is broken, and kafkajs connects anew.
 */
import net from 'node:net'
import tls from 'node:tls'
import type { ISocketFactory } from 'kafkajs'

/** Requests that a coordinator answers when the whole group is there, by their numbers in the Kafka protocol. */
const WAITING_FOR_OTHERS: ReadonlySet<number> = new Set([11, 14])
const API_KEY_AT = 4
const KEEP_ALIVE_MS = 60_000

const plain: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  const socket = ssl
    ? tls.connect({ host, port, servername: net.isIP(host) ? '' : host, ...ssl }, onConnect)
    : net.connect({ host, port }, onConnect)
  return socket.setKeepAlive(true, KEEP_ALIVE_MS)
}

/** Makes sockets as `create` does, broken after `limitMs` without an answer. */
export const watchedSockets =
  (limitMs: number, create: ISocketFactory = plain): ISocketFactory =>
  (options) => {
    const socket = create(options)
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    let limit: NodeJS.Timeout | undefined
    const answered = () => {
      clearTimeout(limit)
      limit = undefined
    }
    socket.write = ((data: Buffer, ...rest: unknown[]) => {
      // kafkajs writes a request whole.
      const request = data.length > API_KEY_AT + 1 ? data.readInt16BE(API_KEY_AT) : -1
      if (!WAITING_FOR_OTHERS.has(request))
        limit ??= setTimeout(() => socket.destroy(new Error(`no answer for ${limitMs} ms`)), limitMs).unref()
      return write(data, ...rest)
    }) as typeof socket.write
    socket.on('data', answered)
    socket.on('close', answered)
    return socket
  }
