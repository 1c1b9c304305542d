/**
 * The HTTP surface for operators: `/live`, `/ready`, `/metrics`, `/config`. Errors are JSON `{code, message}` and tell nothing of the
 * inside. Closing lets requests under way finish, ends idle connections at once and the others after a bound.
 */
import type { AddressInfo } from 'node:net'
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import { MillraceError } from '../../schemas/errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Health } from './health.ts'

export interface HttpOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly health: Pick<Health, 'report'>
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>
  /** The effective configuration now, already redacted. */
  readonly config: () => Readonly<Record<string, unknown>>
  readonly log: Log
  /** How long requests under way may keep `close` waiting (default 2,000). */
  readonly closeGraceMs?: number
}

export interface HttpServer {
  readonly url: string
  /** Stops listening and ends every connection, within the grace. May be called twice. */
  close(): Promise<void>
}

const BODY_LIMIT = 64 * 1024
const REQUEST_TIMEOUT_MS = 10_000

/** @throws MillraceError INVALID_CONFIG when the address cannot be listened on. */
export const startHttp = async (options: HttpOptions): Promise<HttpServer> => {
  const { host, port, health, metrics, config, log, closeGraceMs = 2_000 } = options
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // Answers while closing would otherwise be 503s in fastify's own words.
    return503OnClosing: false,
    frameworkErrors: (_error, _request, reply) => refuse(reply as unknown as FastifyReply, 400),
    clientErrorHandler: (_error, socket) => {
      if (socket.writable)
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    },
  })
  answerErrors(app, log)

  app.get('/live', async () => ({ live: true }))
  app.get('/ready', async (_request, reply) => {
    const report = health.report()
    return reply.code(report.ready ? 200 : 503).send(report)
  })
  app.get('/metrics', async (_request, reply) =>
    reply.header('content-type', metrics.contentType).send(await metrics.text()),
  )
  app.get('/config', async () => config())

  try {
    await app.listen({ host, port })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new MillraceError(
      'INVALID_CONFIG',
      `cannot listen on http.host ${host}, http.port ${port}: ${code}`,
      {
        cause: error,
      },
    )
  }
  const bound = app.addresses()[0] as AddressInfo
  const name = host.includes(':') ? `[${host}]` : host
  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    const force = setTimeout(() => app.server.closeAllConnections(), closeGraceMs)
    try {
      await app.close()
    } finally {
      clearTimeout(force)
    }
  }
  return {
    url: `http://${name}:${bound.port}`,
    close: () => {
      closed ??= close()
      return closed
    },
  }
}

const CODES: Readonly<Record<number, readonly [code: string, message: string]>> = {
  400: ['BAD_REQUEST', 'the request cannot be read'],
  404: ['NOT_FOUND', 'nothing is here'],
  413: ['BODY_TOO_LARGE', `a body has at most ${BODY_LIMIT} bytes`],
  415: ['UNSUPPORTED_MEDIA_TYPE', 'bodies are application/json'],
}
const FAILED = ['INTERNAL', 'the request failed; the log says why'] as const

const refuse = (reply: FastifyReply, status: number): FastifyReply => {
  const [code, message] = CODES[status] ?? (status < 500 ? (CODES[400] as readonly [string, string]) : FAILED)
  return reply.code(status).send({ code, message })
}

const answerErrors = (app: FastifyInstance, log: Log): void => {
  app.setNotFoundHandler((_request, reply) => refuse(reply, 404))
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500)
      log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'request failed')
    return refuse(reply, status)
  })
}
