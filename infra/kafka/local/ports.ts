/**
 * Free loopback ports below those that systems hand to outgoing connections. There, a client that calls a dead broker again and
 * again would sooner or later be given the broker's own port to call from, and meet itself.
 */
import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'

const LOWEST = 20_000
const HIGHEST = 32_000

const listening = (port: number): Promise<Server | undefined> =>
  new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(undefined))
    server.listen(port, '127.0.0.1', () => done(server))
  })

/** `count` different ports that nobody listens on at this moment. */
export const freePorts = async (count: number): Promise<number[]> => {
  const found = new Map<number, Server>()
  while (found.size < count) {
    const port = randomInt(LOWEST, HIGHEST)
    const server = await listening(port)
    if (server) found.set(port, server)
  }
  await Promise.all([...found.values()].map((server) => new Promise((done) => server.close(done))))
  return [...found.keys()]
}
