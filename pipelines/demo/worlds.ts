/** What the demo's jobs are to each other: which pipelines a job needs, and the world that plays it. */

import { Xoshiro128 } from '../../operators/numerics/random.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Pipeline } from '../delivery/job.ts'
import type { Opened } from '../process/open.ts'
import { topicOf } from '../process/runtime.ts'
import { DOCUMENT_STREAMS, STREAMS } from '../run.ts'
import { POLICY } from './configuration.ts'
import { loadDigits } from './digits.ts'
import type { DocumentPlan } from './document-plan.ts'
import { DocumentWorld } from './documents.ts'
import { Environment } from './environment.ts'
import { loadGlosses } from './glosses.ts'
import type { Watch } from './watch.ts'

export const JOBS = ['decide', 'tag'] as const
export type Job = (typeof JOBS)[number]

/** @throws MillraceError INVALID_CONFIG */
export const jobsNamed = (names: readonly string[]): ReadonlySet<Job> =>
  new Set(
    names.map((name) => {
      const job = JOBS.find((each) => each === name)
      if (job !== undefined) return job
      throw new MillraceError(
        'INVALID_CONFIG',
        `--jobs: there is no job "${name}": there are ${JOBS.join(', ')}`,
      )
    }),
  )

/** What records is needed by either. */
export const pipelinesOf = (jobs: ReadonlySet<Job>): Pipeline[] => {
  const { record, ...deciding } = STREAMS
  return [
    ...(jobs.has('decide') ? Object.values(deciding) : []),
    ...(jobs.has('tag') ? Object.values(DOCUMENT_STREAMS) : []),
    record!,
  ]
}

export interface DecisionsOptions {
  readonly events: number
  readonly stepMs: number
  readonly paced: boolean
}

/** Digits that ask for decisions. */
export const decisionWorld = (
  { config, broker, codec, now }: Opened,
  { events, stepMs, paced }: DecisionsOptions,
  watch: Watch,
): Environment => {
  const random = new Xoshiro128()
  random.seed(7, 11, 13, 17)
  return new Environment({
    broker,
    codec,
    topics: {
      requests: topicOf(config, 'decision-request'),
      decisions: topicOf(config, 'decision'),
      rewards: topicOf(config, 'reward'),
    },
    policy: POLICY,
    digits: loadDigits(random.uniform),
    events,
    stepMs,
    paced,
    now,
    onDecision: (_, right) => watch.decided(right),
  })
}

/** Glosses that want labels. @param rate documents a second; to the end of the plan where absent */
export const documentWorld = async (
  { config, broker, codec, now }: Opened,
  plan: DocumentPlan,
  rate: number | undefined,
): Promise<DocumentWorld> =>
  new DocumentWorld({
    broker,
    codec,
    topics: {
      documents: topicOf(config, 'document'),
      labels: topicOf(config, 'document-labels'),
      models: topicOf(config, 'model'),
    },
    glosses: await loadGlosses(),
    plan,
    ...(rate === undefined ? {} : { rate }),
    now,
  })
