/**
 * The HTTP surface: `/live`, `/ready`, `/metrics`, `/config` for operators, and the routes of the service where there is one. Errors are JSON
 * `{code, message}` and tell nothing of the inside. With a token all but `/live` and `/ready` need it. Closing lets requests under way finish,
 * ends idle connections at once and the others after a bound.
 */
import type { AddressInfo } from 'node:net'
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Health } from './health.ts'
import { addService, type ServiceOptions } from './service.ts'
import { bearerCheck, type TokenSource } from './token.ts'

export interface HttpOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly health: Pick<Health, 'report'>
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>
  /** The effective configuration now, already redacted. */
  readonly config: () => Readonly<Record<string, unknown>>
  readonly log: Log
  /** Without one everybody is answered. */
  readonly token?: TokenSource
  /** The routes of the service; none where absent. */
  readonly service?: ServiceOptions
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
  const { host, port, health, metrics, config, log, token, service, closeGraceMs = 2_000 } = options
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // Answers while closing would otherwise be 503s in fastify's own words.
    return503OnClosing: false,
    // What a body does not say right is refused, not mended.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false } },
    frameworkErrors: (_error, _request, reply) => refuse(reply as unknown as FastifyReply, 400),
    clientErrorHandler: (_error, socket) => {
      if (socket.writable)
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    },
  })
  app.decorateReply('outcome', 'OK')
  answerErrors(app, log)
  if (token !== undefined) requireToken(app, token)

  app.get('/live', async () => ({ live: true }))
  app.get('/ready', async (_request, reply) => {
    const report = health.report()
    return reply.code(report.ready ? 200 : 503).send(report)
  })
  app.get('/metrics', async (_request, reply) =>
    reply.header('content-type', metrics.contentType).send(await metrics.text()),
  )
  app.get('/config', async () => config())
  if (service !== undefined) addService(app, service)

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
  401: ['UNAUTHORIZED', 'the header Authorization does not carry the token: Bearer <token>'],
  404: ['NOT_FOUND', 'nothing is here'],
  413: ['BODY_TOO_LARGE', 'the body has more bytes than are taken here'],
  415: ['UNSUPPORTED_MEDIA_TYPE', 'bodies are application/json'],
}
const FAILED = ['INTERNAL', 'the request failed; the log says why'] as const

/** Statuses of millrace's own codes; those of a record that must not be acted on are 422. */
const STATUSES: Partial<Readonly<Record<ErrorCode, number>>> = {
  NOT_READY: 503,
  QUEUE_FULL: 503,
  NOT_ACKNOWLEDGED: 503,
  KAFKA_UNAVAILABLE: 503,
  REGISTRY_UNAVAILABLE: 503,
  UNKNOWN_POLICY: 404,
  INVALID_CONFIG: 409,
  MESSAGE_TOO_LARGE: 413,
}
const UNPROCESSABLE: ReadonlySet<ErrorCode> = new Set([
  'INVALID_EVENT',
  'NON_FINITE_NUMBER',
  'WRONG_DIMENSION',
  'UNKNOWN_ARM',
  'EMPTY_ARMS',
  'DUPLICATE_ARM',
  'MAPPING_FAILED',
])
const RETRY_AFTER_SECONDS = 1

const refuse = (reply: FastifyReply, status: number): FastifyReply => {
  const [code, message] = CODES[status] ?? (status < 500 ? (CODES[400] as readonly [string, string]) : FAILED)
  return say(reply, status, code, message)
}

const say = (reply: FastifyReply, status: number, code: string, message: string): FastifyReply => {
  reply.outcome = code
  if (status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS)
  return reply.code(status).send({ code, message })
}

const answerErrors = (app: FastifyInstance, log: Log): void => {
  app.setNotFoundHandler((_request, reply) => refuse(reply, 404))
  app.setErrorHandler((error: FastifyError | MillraceError, request, reply) => {
    if (error instanceof MillraceError) {
      const { code, message } = error
      const known = STATUSES[code] ?? (UNPROCESSABLE.has(code) ? 422 : undefined)
      if (known !== undefined) return say(reply, known, code, message)
    } else if (error.validation !== undefined) return say(reply, 400, 'INVALID_REQUEST', faultOf(error))
    const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500
    if (status >= 500)
      log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'request failed')
    return refuse(reply, status)
  })
}

/** What is wrong with a body, and where; the key that nobody knows is named. */
const faultOf = ({ message, validation }: FastifyError): string => {
  const unknown = validation?.[0]?.params['additionalProperty']
  return unknown === undefined ? message : `${message}: ${JSON.stringify(String(unknown).slice(0, 100))}`
}

/** Whoever looks after the process asks these without a token. */
const OPEN: ReadonlySet<string | undefined> = new Set(['/live', '/ready'])

const requireToken = (app: FastifyInstance, token: TokenSource): void => {
  const carries = bearerCheck(token)
  app.addHook('onRequest', async (request, reply) => {
    if (OPEN.has(request.routeOptions.url) || carries(request.headers.authorization)) return
    reply.header('www-authenticate', 'Bearer')
    return refuse(reply, 401)
  })
}
