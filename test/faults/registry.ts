/**
 * The schema registry that rows share, begun at first use, behind a proxy that answers 500, waits, or passes on. Schemas are registered
 * past it.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { startRegistryServer } from '../registry-server.ts'

const SCHEMA_TYPE = { 'content-type': 'application/vnd.schemaregistry.v1+json' }

export class Registry {
  /** What millrace is told. */
  readonly url: string
  /** Questions that were not answered well. */
  faulted = 0
  /** Answers every question so, instead of passing it on; 0 passes. */
  status = 0
  /** Every answer waits so long, in milliseconds. */
  delayMs = 0
  readonly #direct: string

  private constructor(url: string, direct: string) {
    this.url = url
    this.#direct = direct
  }

  static async start(): Promise<Registry> {
    const { url: direct } = await startRegistryServer()
    const { origin, pathname } = new URL(direct)
    const server = createServer(async (request, response) => {
      try {
        const chunks: Buffer[] = []
        for await (const chunk of request) chunks.push(chunk)
        const body = Buffer.concat(chunks)
        if (registry.status > 0 || registry.delayMs > 0) registry.faulted++
        await sleep(registry.delayMs)
        if (registry.status > 0) return void response.writeHead(registry.status).end('{}')
        const { method = 'GET', url = '/' } = request
        const { 'content-type': type } = request.headers
        const answer = await fetch(origin + url, {
          method,
          ...(body.length > 0 ? { body } : {}),
          ...(type === undefined ? {} : { headers: { 'content-type': type } }),
        })
        const headers = { 'content-type': answer.headers.get('content-type') ?? 'application/json' }
        response.writeHead(answer.status, headers).end(Buffer.from(await answer.arrayBuffer()))
      } catch {
        response.destroy()
      }
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    server.unref()
    const { port } = server.address() as AddressInfo
    const registry = new Registry(`http://127.0.0.1:${port}${pathname}`, direct)
    return registry
  }

  heal(): void {
    this.status = 0
    this.delayMs = 0
  }

  /** Registers a schema under a subject, as a producer would. @returns its id */
  async register(subject: string, schema: object): Promise<number> {
    const answer = await fetch(`${this.#direct}/subjects/${encodeURIComponent(subject)}/versions`, {
      method: 'POST',
      headers: SCHEMA_TYPE,
      body: JSON.stringify({ schema: JSON.stringify(schema) }),
    })
    if (!answer.ok) throw new Error(`${subject}: ${answer.status} ${await answer.text()}`)
    return ((await answer.json()) as { id: number }).id
  }

  /** Every schema of every subject that begins so, by id. */
  async schemas(prefix: string): Promise<Map<number, string>> {
    const get = async <T>(path: string): Promise<T> => (await fetch(this.#direct + path)).json() as Promise<T>
    const found = new Map<number, string>()
    for (const subject of await get<string[]>('/subjects')) {
      if (!subject.startsWith(prefix)) continue
      const path = `/subjects/${encodeURIComponent(subject)}/versions`
      for (const version of await get<number[]>(path)) {
        const { id, schema } = await get<{ id: number; schema: string }>(`${path}/${version}`)
        found.set(id, schema)
      }
    }
    return found
  }
}

let shared: Promise<Registry> | undefined

export const sharedRegistry = (): Promise<Registry> => {
  shared ??= Registry.start()
  return shared
}

/** A message in Confluent's framing. */
export const framed = (id: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(id, 1)
  return Buffer.concat([head, payload])
}
