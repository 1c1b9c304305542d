/**
 * A TCP proxy between millrace and the brokers: one listener a broker, which the broker tells its clients as its own. It cuts, refuses,
 * swallows, delays and resets; and since it reads the requests that pass, a row can hold the very frame that ends a transaction, kill
 * whoever sent it, and then forward or drop the frame. So faults are put at each step of a commit with no hook in the product.
 *
 * Promises: frames of a connection keep their order; nothing is altered.
 */
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../../infra/kafka/local/ports.ts'
import { type ApiName, correlationOf, frames, type Request, requestOf } from './frames.ts'

/** What becomes of a frame that was held: handed on, lost, or lost with its connection. */
export type Verdict = 'forward' | 'drop' | 'cut'

/** How a line treats what comes: passes it on, refuses connections, or takes everything and answers nothing. */
type Mode = 'open' | 'refuse' | 'swallow'

export interface Passing extends Request {
  /** Which broker's line it took, from 0 on. */
  readonly line: number
  readonly when: 'request' | 'reply'
}

export interface Match {
  readonly transactionalId?: RegExp
  readonly clientId?: RegExp
  /** At the request (default), before the broker sees it, or at its reply, before the client does. */
  readonly when?: 'request' | 'reply'
  /** So many matching frames pass first (default 0). */
  readonly skip?: number
  /** So many are acted on (default 1). */
  readonly times?: number
}

export interface Trap {
  /** Resolves with the first frame acted on, once the action is through. */
  readonly sprung: Promise<Passing>
  off(): void
}

interface Armed {
  readonly api: ApiName
  readonly match: Match
  readonly action: (passing: Passing) => Verdict | Promise<Verdict>
  skip: number
  times: number
  readonly done: (passing: Passing) => void
}

interface Line {
  readonly target: number
  readonly server: net.Server
  readonly port: number
  readonly sockets: Set<net.Socket>
  mode: Mode
  /** Connections whose bytes were swallowed are of no use any more. */
  readonly spoilt: Set<net.Socket>
}

const HOST = '127.0.0.1'

export class KafkaProxy {
  readonly #lines: Line[] = []
  readonly #armed = new Set<Armed>()
  /** Milliseconds that every frame waits, in either direction. */
  latencyMs = 0
  /** Share of requests that reset their connection instead of passing, 0 to 1. */
  resets = 0
  #random = 1

  /** Opens a line to a broker's port; gives the port that clients are to be told. Lines count from 0, in the order of opening. */
  async line(target: number): Promise<number> {
    const server = net.createServer((client) => this.#accept(line, client))
    // While the line is down nobody else is given its port.
    const [port = 0] = await freePorts(1)
    await new Promise<void>((resolve) => server.listen(port, HOST, resolve))
    const line: Line = { target, server, port, sockets: new Set(), mode: 'open', spoilt: new Set() }
    this.#lines.push(line)
    return port
  }

  /** Waits for a request (or its reply), holds it, and does with it what `action` says. Of EndTxn, those that commit. */
  on(api: ApiName, match: Match, action: (passing: Passing) => Verdict | Promise<Verdict>): Trap {
    let done: (passing: Passing) => void = () => {}
    const sprung = new Promise<Passing>((resolve) => {
      done = resolve
    })
    const armed: Armed = { api, match, action, skip: match.skip ?? 0, times: match.times ?? 1, done }
    this.#armed.add(armed)
    return { sprung, off: () => this.#armed.delete(armed) }
  }

  /** Resets every connection; new ones are taken. */
  cut(line?: number): void {
    for (const { sockets } of this.#chosen(line)) for (const socket of sockets) socket.resetAndDestroy()
  }

  /** Resets every connection and refuses new ones until `heal`. */
  refuse(line?: number): void {
    for (const chosen of this.#chosen(line)) {
      chosen.mode = 'refuse'
      if (chosen.server.listening) chosen.server.close()
    }
    this.cut(line)
  }

  /** Half-open: connections stay, new ones are taken, and nothing passes in either direction until `heal`. */
  swallow(line?: number): void {
    for (const chosen of this.#chosen(line)) chosen.mode = 'swallow'
  }

  /** Lets everything through again, at once and whole; forgets what rows wait for. */
  heal(): void {
    this.latencyMs = 0
    this.resets = 0
    this.#armed.clear()
    for (const line of this.#lines) {
      line.mode = 'open'
      if (!line.server.listening) this.#listenOnce(line)
      for (const socket of line.spoilt) socket.resetAndDestroy()
      line.spoilt.clear()
    }
  }

  close(): void {
    this.refuse()
    this.#lines.length = 0
  }

  #chosen(line: number | undefined): Line[] {
    return line === undefined ? this.#lines : this.#lines.slice(line, line + 1)
  }

  /** Listens (again) once the broker does: who calls a dead broker is refused, as without a proxy. */
  #listenOnce(line: Line): void {
    const again = () => setTimeout(() => this.#listenOnce(line), 50).unref()
    if (line.mode === 'refuse' || line.server.listening) return
    const probe = net.connect(line.target, HOST)
    probe.on('error', again)
    probe.on('connect', () => {
      probe.destroy()
      if (line.mode === 'refuse' || line.server.listening) return
      line.server.once('error', again)
      line.server.listen(line.port, HOST, () => line.server.off('error', again))
    })
  }

  #accept(line: Line, client: net.Socket): void {
    if (line.mode === 'refuse') return void client.resetAndDestroy()
    const broker = net.connect(line.target, HOST)
    broker.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code !== 'ECONNREFUSED' || !line.server.listening) return
      line.server.close()
      this.#listenOnce(line)
    })
    const asked = new Map<number, Request>()
    const number = this.#lines.indexOf(line)
    for (const socket of [client, broker]) {
      line.sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        line.sockets.delete(socket)
        line.spoilt.delete(socket)
        client.destroy()
        broker.destroy()
      })
    }
    const pump = (from: net.Socket, to: net.Socket, seen: (frame: Buffer) => Passing | undefined) => {
      let before: Promise<void> = Promise.resolve()
      from.on(
        'data',
        frames((frame) => {
          if (line.mode !== 'open') return void line.spoilt.add(client)
          const passing = seen(frame)
          const due = Date.now() + this.latencyMs
          before = before.then(async () => {
            // Counted from when it came: frames that follow each other closely are late, not slow.
            const late = due - Date.now()
            if (late > 0) await sleep(late)
            const verdict = passing === undefined ? 'forward' : await this.#judge(passing)
            if (verdict === 'cut') client.resetAndDestroy()
            else if (line.mode !== 'open') line.spoilt.add(client)
            else if (verdict === 'forward' && !to.destroyed) to.write(frame)
          })
        }),
      )
    }
    pump(client, broker, (frame) => {
      const request = requestOf(frame)
      asked.set(request.correlationId, request)
      return { ...request, when: 'request', line: number }
    })
    pump(broker, client, (frame) => {
      const request = asked.get(correlationOf(frame))
      asked.delete(correlationOf(frame))
      return request && { ...request, when: 'reply', line: number }
    })
  }

  async #judge(passing: Passing): Promise<Verdict> {
    if (this.resets > 0 && passing.when === 'request' && this.#uniform() < this.resets) return 'cut'
    for (const armed of this.#armed) {
      const { match } = armed
      if (passing.api !== armed.api || passing.when !== (match.when ?? 'request')) continue
      // A task that is given up ends its transaction too, by an abort.
      if (passing.api === 'EndTxn' && !passing.commits) continue
      if (match.transactionalId?.test(passing.transactionalId) === false) continue
      if (match.clientId?.test(passing.clientId) === false) continue
      if (armed.skip-- > 0) continue
      if (--armed.times <= 0) this.#armed.delete(armed)
      const verdict = await armed.action(passing)
      armed.done(passing)
      return verdict
    }
    return 'forward'
  }

  /** A linear congruential generator: the same resets at each run, as far as the traffic is the same. */
  #uniform(): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0
    return this.#random / 2 ** 32
  }
}
