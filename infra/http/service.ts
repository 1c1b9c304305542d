/**
 * The routes of the service: `POST /v1/rank`, `/v1/reward`, `/v1/activate`. Bodies are held to JSON schemas, unknown keys refused; what is behind the
 * routes is whoever the endpoint holds now, since pipelines come and go while the port stays open.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { MillraceError } from '../../schemas/errors.ts'
import type { ServiceMetrics } from '../telemetry/metrics.ts'

/** Features as requests carry them: dense or named. */
export type Features = readonly number[] | Readonly<Record<string, number>>

export interface RankBody {
  /** Made up where absent. */
  readonly requestId?: string
  readonly policy: string
  readonly context?: Features | null
  readonly arms: readonly { readonly id: string; readonly features?: Features | null }[]
  /** Answer when the decision is written, not when it waits to be. */
  readonly ack?: boolean
}

export interface RankAnswer {
  readonly requestId: string
  readonly policy: string
  readonly policyVersion: number
  /** The arm to be shown. */
  readonly arm: string
  /** Probability with which it was chosen. */
  readonly propensity: number
  /** Every arm, best first. */
  readonly ranking: readonly { readonly arm: string; readonly probability: number }[]
  /** The default arm, without a decision: nothing was logged, and nothing will be learned from it. */
  readonly unlogged?: true
}

export interface RewardBody {
  readonly requestId: string
  readonly value: number
  /** Tells several rewards of a request apart. */
  readonly rewardId?: string
  /** Milliseconds since the epoch; now where absent. */
  readonly occurredAt?: number
  readonly ack?: boolean
}

export interface ActivateBody {
  readonly requestId: string
  readonly occurredAt?: number
  readonly ack?: boolean
}

/** Who answers. @throws MillraceError what the client is told */
export interface Service {
  rank(body: RankBody): RankAnswer | Promise<RankAnswer>
  reward(body: RewardBody): void | Promise<void>
  activate(body: ActivateBody): void | Promise<void>
}

/** Where who answers can be put, and taken away. */
export interface Endpoint {
  service: Service | null
}

export interface ServiceOptions {
  readonly endpoint: Endpoint
  /** Largest body in bytes. */
  readonly bodyLimit: number
  readonly metrics: ServiceMetrics
}

const text = (most: number) => ({ type: 'string', minLength: 1, maxLength: most })
const id = text(256)
const time = { type: 'integer', minimum: 0, maximum: 2 ** 52 }
const features = {
  anyOf: [
    { type: 'null' },
    { type: 'array', items: { type: 'number' } },
    { type: 'object', additionalProperties: { type: 'number' } },
  ],
}
const object = (required: readonly string[], properties: Readonly<Record<string, unknown>>) => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
})
const ack = { type: 'boolean' }

const BODIES = {
  rank: object(['policy', 'arms'], {
    requestId: id,
    policy: text(100),
    context: features,
    arms: { type: 'array', minItems: 1, items: object(['id'], { id, features }) },
    ack,
  }),
  reward: object(['requestId', 'value'], {
    requestId: id,
    value: { type: 'number' },
    rewardId: { type: 'string', maxLength: 256 },
    occurredAt: time,
    ack,
  }),
  activate: object(['requestId'], { requestId: id, occurredAt: time, ack }),
} as const

declare module 'fastify' {
  interface FastifyReply {
    /** The code that a request was refused with; `OK` where it was not. */
    outcome: string
  }
}

/** Adds the routes. Errors are left to the server's error handler, which sets the code of the reply. */
export const addService = (app: FastifyInstance, { endpoint, bodyLimit, metrics }: ServiceOptions): void => {
  const answering = (): Service => {
    if (endpoint.service !== null) return endpoint.service
    throw new MillraceError(
      'NOT_READY',
      'the policies are not there yet, or the process is ending: /ready says more',
    )
  }
  const route = (name: keyof typeof BODIES) => ({
    bodyLimit,
    schema: { body: BODIES[name] },
    onResponse: async (_request: FastifyRequest, reply: FastifyReply) =>
      metrics.answered(name, reply.outcome, reply.elapsedTime / 1_000),
  })
  app.post<{ Body: RankBody }>('/v1/rank', route('rank'), async ({ body }) => answering().rank(body))
  app.post<{ Body: RewardBody }>('/v1/reward', route('reward'), async ({ body }, reply) => {
    await answering().reward(body)
    return reply.code(202).send({ requestId: body.requestId })
  })
  app.post<{ Body: ActivateBody }>('/v1/activate', route('activate'), async ({ body }, reply) => {
    await answering().activate(body)
    return reply.code(202).send({ requestId: body.requestId })
  })
}
