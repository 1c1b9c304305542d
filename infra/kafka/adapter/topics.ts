/**
 * The input topics of a job: all there, with the same number of partitions, and that number for as long as the job runs. A partition
 * added sends keys elsewhere, away from the state that belongs to them: the job must stop rather than go on with half of each.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '../../../schemas/errors.ts'
import type { TaskGroupOptions, TopicDescription } from '../port.ts'
import { type Driver, missingTopic } from './driver.ts'

/** Numbers of partitions by topic. */
export type TopicSizes = ReadonlyMap<string, number>

const DEFAULT_CHECK_MS = 5000
/** What is missing is looked at again after so long: one broker may not know what the others do. */
const SECOND_LOOK_MS = 1000

type Job = Pick<TaskGroupOptions, 'job' | 'topics'>

/** @throws MillraceError MISSING_TOPIC, PARTITION_MISMATCH */
export const sizesOf = (
  { job, topics }: Job,
  found: readonly TopicDescription[],
  address: string,
): TopicSizes => {
  const sizes = new Map(found.map(({ topic, partitions }) => [topic, partitions]))
  const absent = topics.filter((topic) => !sizes.has(topic))
  if (absent.length > 0) throw missingTopic(absent, address)
  if (new Set(sizes.values()).size > 1) {
    const counts = found.map(({ topic, partitions }) => `${topic} has ${partitions}`).join(', ')
    throw new MillraceError(
      'PARTITION_MISMATCH',
      `the input topics of ${job} must have the same number of partitions: ${counts}`,
    )
  }
  return sizes
}

/** @throws MillraceError PARTITION_MISMATCH where the number of a topic that is there is another than before. */
export const checkSizes = ({ job }: Job, before: TopicSizes, found: readonly TopicDescription[]): void => {
  const changed = found.filter(({ topic, partitions }) => before.get(topic) !== partitions)
  if (changed.length === 0) return
  const changes = changed.map(
    ({ topic, partitions }) => `${topic} had ${before.get(topic)} partitions and now has ${partitions}`,
  )
  throw new MillraceError(
    'PARTITION_MISMATCH',
    `${changes.join(', ')} while ${job} was running: stop, see docs/delivery.md, Partitions`,
  )
}

/** @throws MillraceError MISSING_TOPIC, PARTITION_MISMATCH */
export const checkTopics = async ({ address, admin }: Driver, job: Job): Promise<TopicSizes> =>
  sizesOf(job, await admin.describe(job.topics), address)

/**
 * Looks at the topics every now and then, until `signal` aborts. A cluster that does not answer is others' to complain of.
 * @throws MillraceError PARTITION_MISMATCH, MISSING_TOPIC when a topic was changed or removed.
 */
export const watchTopics = async (
  { address, admin }: Driver,
  job: TaskGroupOptions,
  before: TopicSizes,
  signal: AbortSignal,
): Promise<void> => {
  const { topicsCheckMs = DEFAULT_CHECK_MS } = job
  let wait = topicsCheckMs
  for (;;) {
    await sleep(wait, undefined, { signal, ref: false }).catch(() => {})
    if (signal.aborted) return
    const found = await admin.describe(job.topics).catch(() => undefined)
    if (signal.aborted) return
    if (found) checkSizes(job, before, found)
    const absent = found ? job.topics.filter((topic) => !found.some((each) => each.topic === topic)) : []
    if (absent.length === 0) wait = topicsCheckMs
    else if (wait === SECOND_LOOK_MS) throw missingTopic(absent, address)
    else wait = SECOND_LOOK_MS
  }
}
