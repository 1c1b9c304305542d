/**
 * Sockets for kafkajs that stand still from a chosen request on, as a stopped process or a dead line does: nothing more is sent or
 * heard on them, and nothing is closed.
 */
import net from 'node:net'
import type { ISocketFactory } from 'kafkajs'

/** Numbers of the Kafka protocol's requests: to read, and those of a transaction. */
export const FETCH = 1
export const REQUEST = {
  produce: 0,
  addPartitions: 24,
  addOffsets: 25,
  endTransaction: 26,
  commitOffsets: 28,
} as const

export interface HeldSockets {
  readonly socketFactory: ISocketFactory
  readonly holding: boolean
  /** Sends what was held back, and hears what was answered. */
  release(): void
}

/**
 * From the first request of this kind whose bytes contain `mark`, the socket that carries it stands still; all sockets where `all`, those
 * yet to come too.
 */
export const holdingSockets = (request: number, all: boolean, mark = ''): HeldSockets => {
  const sockets = new Set<{ socket: net.Socket; held: boolean; flush: () => void }>()
  let holding = false
  let released = false
  const socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    const socket = net.connect({ host, port }, onConnect)
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    const waiting: unknown[][] = []
    const own = {
      socket,
      held: false,
      flush: () => {
        own.held = false
        for (const args of waiting.splice(0)) write(...args)
        socket.resume()
      },
    }
    const hold = () => {
      own.held = true
      socket.pause()
    }
    sockets.add(own)
    if (all && holding && !released) socket.once('connect', hold)
    socket.write = ((data: Buffer, ...rest: unknown[]) => {
      const chosen = data.length > 6 && data.readInt16BE(4) === request && data.includes(mark)
      if (chosen && !holding) {
        holding = true
        for (const each of all ? sockets : [own]) {
          each.held = true
          each.socket.pause()
        }
      }
      if (!own.held) return write(data, ...rest)
      waiting.push([data, ...rest])
      return true
    }) as typeof socket.write
    return socket
  }
  return {
    socketFactory,
    get holding() {
      return holding
    },
    release: () => {
      released = true
      for (const { flush } of sockets) flush()
    },
  }
}
