/** The port of a stage's process, and requests to it. */

import { type HttpServer, startHttp } from '../../../infra/http/server.ts'
import type { RankAnswer } from '../../../infra/http/service.ts'
import { createLog } from '../../../infra/telemetry/log.ts'
import type { Runtime } from '../../../pipelines/process/runtime.ts'

export interface Client {
  post<T = Record<string, unknown>>(path: string, body: unknown): Promise<Answered<T>>
  rank(body: unknown): Promise<RankAnswer>
  close(): Promise<void>
}

export interface Answered<T> {
  readonly status: number
  readonly body: T
  readonly headers: Headers
}

export const open = async ({ config, endpoint, health, metrics }: Runtime): Promise<Client> => {
  const http: HttpServer = await startHttp({
    host: '127.0.0.1',
    port: 0,
    health,
    metrics,
    config: () => ({}),
    log: createLog({ level: 'silent' }),
    service: { endpoint, bodyLimit: config.http.bodyLimit, metrics: metrics.service },
  })
  const post: Client['post'] = async <T>(path: string, body: unknown): Promise<Answered<T>> => {
    const response = await fetch(`${http.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as T, headers: response.headers }
  }
  return {
    post,
    rank: async (body) => {
      const answer = await post<RankAnswer>('/v1/rank', body)
      if (answer.status !== 200) throw new Error(JSON.stringify(answer))
      return answer.body
    },
    close: () => http.close(),
  }
}
