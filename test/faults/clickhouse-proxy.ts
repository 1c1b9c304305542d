/**
 * An HTTP proxy in front of ClickHouse: refuses, hangs, answers inserts with an error of the server's, or lets an insert happen and loses the
 * reply. SELECTs and statements pass as long as the proxy is open at all.
 */
import http from 'node:http'
import type net from 'node:net'

/** An error as ClickHouse gives it: its number and, in brackets at its end, its type. */
export interface ServerError {
  readonly code: number
  readonly type: string
  readonly status?: number
}

/** Errors that speak of the server's condition. */
export const TOO_MANY_PARTS: ServerError = { code: 252, type: 'TOO_MANY_PARTS' }
export const READ_ONLY: ServerError = { code: 242, type: 'TABLE_IS_READ_ONLY' }
export const DISK_FULL: ServerError = { code: 243, type: 'NOT_ENOUGH_SPACE' }
/** No word of ClickHouse's: what a load balancer says for it. */
export const BARE_500 = null

type Fault =
  | { readonly kind: 'error'; readonly error: ServerError | null }
  | { readonly kind: 'lose-reply'; readonly action?: (() => void) | undefined }
  | { readonly kind: 'lose-insert' }

export class ClickHouseProxy {
  readonly #target: URL
  readonly #server: http.Server
  readonly #sockets = new Set<net.Socket>()
  #mode: 'open' | 'refuse' | 'hang' = 'open'
  #fault: { readonly fault: Fault; times: number } | undefined
  /** Inserts that reached the proxy, and those of them that a fault was done to. */
  inserts = 0
  faulted = 0

  private constructor(target: string) {
    this.#target = new URL(target)
    this.#server = http.createServer((request, response) => this.#serve(request, response))
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      if (this.#mode === 'refuse') socket.resetAndDestroy()
    })
  }

  static async start(target: string): Promise<ClickHouseProxy> {
    const proxy = new ClickHouseProxy(target)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`
  }

  /** Resets every connection, old and new, until `heal`. */
  refuse(): void {
    this.#mode = 'refuse'
    this.#reset()
  }

  /** Takes requests and never answers, until `heal`. */
  hang(): void {
    this.#mode = 'hang'
  }

  /** Answers the next `times` inserts (all until `heal` where left out) with an error, `BARE_500` with none; they do not reach the server. */
  answer(error: ServerError | null, times = Number.POSITIVE_INFINITY): void {
    this.#fault = { fault: { kind: 'error', error }, times }
  }

  /** Lets the next `times` inserts happen, does `action`, and resets the connection instead of replying. */
  loseReply(times: number, action?: () => void): void {
    this.#fault = { fault: { kind: 'lose-reply', action }, times }
  }

  /** Resets the connection of the next `times` inserts before the server sees them. */
  loseInsert(times: number): void {
    this.#fault = { fault: { kind: 'lose-insert' }, times }
  }

  /** Lets everything through again; what hung is reset. */
  heal(): void {
    const hung = this.#mode === 'hang'
    this.#mode = 'open'
    this.#fault = undefined
    if (hung) this.#reset()
  }

  async close(): Promise<void> {
    this.refuse()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    if (this.#mode === 'hang') return
    const query = new URL(request.url ?? '/', this.#target).searchParams.get('query') ?? ''
    const fault = /^\s*insert/i.test(query) ? this.#nextFault() : undefined
    if (fault?.kind === 'lose-insert') return void request.socket.resetAndDestroy()
    if (fault?.kind === 'error') {
      if (fault.error === null) return void response.writeHead(500).end('<h1>500</h1>')
      const { code, type, status = 500 } = fault.error
      response.writeHead(status, { 'x-clickhouse-exception-code': String(code) })
      return void response.end(`Code: ${code}. DB::Exception: injected. (${type}) (version 26.7.1.1)\n`)
    }
    const { method, headers, url } = request
    const { hostname, port } = this.#target
    const onward = http.request({ hostname, port, path: url, method, headers, agent: false }, (reply) => {
      if (fault === undefined) {
        response.writeHead(reply.statusCode ?? 502, reply.headers)
        return void reply.pipe(response)
      }
      reply.resume().on('end', () => {
        fault.action?.()
        request.socket.resetAndDestroy()
      })
    })
    onward.on('error', () => request.socket.resetAndDestroy())
    onward.end(Buffer.concat(chunks))
  }

  #nextFault(): Fault | undefined {
    this.inserts++
    const armed = this.#fault
    if (armed === undefined) return undefined
    this.faulted++
    if (--armed.times <= 0) this.#fault = undefined
    return armed.fault
  }
}
