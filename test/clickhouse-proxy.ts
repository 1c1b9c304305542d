/** A ClickHouse that can be taken away: an HTTP proxy in front of a real one. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * What befalls requests: all `refused` (the line is cut) or left `hanging`; blocks inserted with their answers `lost`; blocks refused with an error in
 * the server's words; or nothing.
 */
export type Fault = 'refused' | 'hanging' | 'lost' | { readonly error: string } | null

export interface ClickHouseProxy {
  readonly url: string
  fault: Fault
  /** Blocks that met a fault. */
  readonly struck: number
  close(): Promise<void>
}

export const startClickHouseProxy = async (target: string): Promise<ClickHouseProxy> => {
  let struck = 0
  const pass = (incoming: IncomingMessage, outgoing: ServerResponse, answered: boolean) => {
    const { method = 'GET', headers } = incoming
    const onward = request(new URL(incoming.url ?? '/', target), { method, headers }, (answer) => {
      if (!answered) return void answer.resume().on('end', () => outgoing.destroy())
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  }
  const server = createServer((incoming, outgoing) => {
    const { fault } = proxy
    const isBlock = incoming.url?.includes('INSERT') ?? false
    if (fault !== null && isBlock) struck++
    if (fault === 'refused') return void incoming.socket.destroy()
    if (fault === 'hanging') return void incoming.resume()
    if (fault === null || !isBlock) return pass(incoming, outgoing, true)
    if (fault === 'lost') return pass(incoming, outgoing, false)
    incoming.resume().on('end', () => outgoing.writeHead(500).end(`Code: 1. DB::Exception: ${fault.error}\n`))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const proxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: null as Fault,
    get struck() {
      return struck
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
  return proxy
}
