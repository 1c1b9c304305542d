/**
 * A proxy in front of one Kafka broker that breaks every connection when the first end of a transaction passes: before it is handed
 * on, or once it was. Brokers tell clients where they are to be found: the proxy tells its own port instead.
 */
import net from 'node:net'

export interface BreakingProxy {
  readonly bootstrap: string
  /** Lets through again. */
  heal(): void
  close(): Promise<void>
}

const END_TRANSACTION = 26

/** Calls `each` with every frame that came whole: its length in 4 bytes, then so many. */
const frames = (each: (frame: Buffer) => void) => {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0)
      each(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
  }
}

/** Where `forever`, nothing is let through any more once it broke. */
export const startBreakingProxy = async (
  target: string,
  when: 'before' | 'after',
  forever: boolean,
): Promise<BreakingProxy> => {
  const [host = '', port = ''] = target.split(':')
  const sockets = new Set<net.Socket>()
  let broken = false
  let healed = false
  const breakAll = () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  const addressOf = (at: number) => {
    const address = Buffer.alloc(host.length + 4)
    address.write(host)
    address.writeInt32BE(at, host.length)
    return address
  }
  const server = net.createServer((client) => {
    const broker = net.connect(Number(port), host)
    for (const socket of [client, broker]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        broker.destroy()
      })
    }
    if (broken && forever && !healed) return breakAll()
    client.on(
      'data',
      frames((frame) => {
        const breaks = !broken && frame.readInt16BE(4) === END_TRANSACTION
        if (!breaks) return void broker.write(frame)
        broken = true
        if (when === 'before') breakAll()
        else broker.write(frame, () => setImmediate(breakAll))
      }),
    )
    const [theirs, ours] = [addressOf(Number(port)), addressOf((server.address() as net.AddressInfo).port)]
    broker.on(
      'data',
      frames((frame) => {
        for (let at = frame.indexOf(theirs); at >= 0; at = frame.indexOf(theirs, at + 1)) ours.copy(frame, at)
        client.write(frame)
      }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    bootstrap: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    heal: () => {
      healed = true
    },
    close: async () => {
      breakAll()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
