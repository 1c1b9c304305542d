/** Too little of something: room for snapshots, or time for what comes in. */
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { decoded } from './events.ts'
import { MemoryWatch } from './memory.ts'
import { quantile } from './observed.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import type { Worker } from './worker.ts'

const mount = (...parameters: string[]): boolean =>
  spawnSync('mount', parameters, { stdio: 'ignore' }).status === 0

/** A folder of so many KiB, where this user may mount one; undefined where not. */
const smallDisk = (folder: string, kib: number): (() => void) | undefined => {
  if (!mount('-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', folder)) return undefined
  return () => void spawnSync('umount', ['-l', folder])
}

/** No snapshot is written, and the worker says so and goes on deciding; when freed, it is well again and writes one. */
const withoutRoom = async (stage: Stage, worker: Worker, how: string, free: () => void): Promise<void> => {
  stage.fault(how)
  await stage.until(
    'the worker says that snapshots fail',
    async () => 'snapshots' in (await worker.reasons()),
  )
  const [snapshots, decisions, outcomes] = (['snapshots', 'decisions', 'outcomes'] as const).map((topic) =>
    stage.count(topic),
  )
  const more = either(150, 2_000)
  await stage.until(
    'decisions and outcomes go on',
    () => stage.count('decisions') >= decisions! + more && stage.count('outcomes') >= outcomes! + more,
  )
  expect(await worker.ready()).toBe(false)
  // No record names bytes that are not there.
  expect(stage.count('snapshots')).toBe(snapshots)
  free()
  await stage.until('the worker is ready', () => worker.ready())
  await stage.until('a snapshot is written', () => stage.count('snapshots') > snapshots!)
}

/** Fills the disk that a file lies on. */
const fill = (file: string): void => void spawnSync('sh', ['-c', 'cat /dev/zero > "$0" 2> /dev/null', file])

row(
  20,
  'no room for snapshots',
  { recording: false, config: { snapshots: { every: either(100, 1_000) } } },
  async (stage) => {
    const models = join(stage.folder, 'models')
    // A file is where the folder should be: neither listed nor written, whoever the user is.
    writeFileSync(models, '')
    const [worker] = await stage.started()
    await stage.flowToOutcomes(either(200, 300))
    await withoutRoom(stage, worker!, 'a file in the place of models.directory', () => rmSync(models))

    const unmount = smallDisk(models, 256)
    if (unmount === undefined)
      return void stage.note('no disk full, none read-only: mounting is not allowed here')
    try {
      const ballast = join(models, 'ballast')
      fill(ballast)
      await withoutRoom(stage, worker!, 'disk full', () => rmSync(ballast))
      mount('-o', 'remount,ro', models)
      await withoutRoom(stage, worker!, 'disk read-only', () => void mount('-o', 'remount,rw', models))
      // For the oracle, which asks for the bytes: they stay when the small disk goes.
      worker!.freeze()
      cpSync(models, `${models}-aside`, { recursive: true })
    } finally {
      unmount()
    }
    cpSync(`${models}-aside`, models, { recursive: true })
    worker!.thaw()
  },
  (stage) => {
    // The oracle has compared the newest snapshots that are there: this one is.
    const newest = stage.log
      .records(`${stage.prefix}snapshots`)
      .reduce((a, b) => (b.timestamp > a.timestamp ? b : a))
    expect(readdirSync(join(stage.folder, 'models'))).toContain(decoded('snapshot', newest.value!).sha256)
  },
)

/** What a worker may hold on to at ten times its input, over what it held before. */
const GROWTH_MIB = 200
const CALM = either(100, 100)

row(22, 'ten times the input', { requests: either(2_600, 155_000) }, async (stage) => {
  const [worker] = await stage.started()
  const memory = new MemoryWatch(worker!)
  stage.flow(CALM)
  await stage.publishedShare(either(0.05, 0.02))
  memory.begin()

  const behind = () => stage.count('decision-requests') - stage.count('decisions')
  let most = 0
  const looking = setInterval(() => {
    most = Math.max(most, behind())
  }, 50)
  try {
    const since = stage.fault('ten times the input')
    stage.pace(10 * CALM)
    await stage.publishedShare(0.75)
    stage.pace(CALM)
    stage.note(`ten times for ${((Date.now() - since) / 1_000).toFixed(1)} s`)
    await stage.recovered(Date.now())
    await stage.until('what has gathered is decided', () => behind() <= CALM)
  } finally {
    clearInterval(looking)
  }
  stage.note(`lag up to ${most}`)
  stage.note(memory.end(GROWTH_MIB))
  const metrics = await worker!.metrics()
  const { bound, count } = quantile(metrics, 'millrace_decide_seconds', 0.99)
  stage.note(`p99 of decide ≤ ${bound * 1e3} ms of ${count} batches`)
  expect(quantile(metrics, 'millrace_decide_seconds', 0.95).bound).toBeLessThanOrEqual(0.02)
})
