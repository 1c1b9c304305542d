/** Workers that die at each step of a commit, die again and again, or fall asleep and wake to find their tasks with others. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiName } from './frames.ts'
import type { Match, Verdict } from './proxy.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import type { Worker } from './worker.ts'

const SHORT_SESSION = { kafka: { sessionTimeout: either('1500ms', '6s') } }

/** Steps of a commit, each by the frame at which it is known: millrace sends positions first, outputs next, the end last. */
const STEPS: Readonly<Record<string, readonly [ApiName, Match]>> = {
  'before-send': ['TxnOffsetCommit', { when: 'request' }],
  'after-send': ['Produce', { when: 'reply' }],
  'before-commit': ['EndTxn', { when: 'request' }],
  'after-commit': ['EndTxn', { when: 'reply' }],
}

/** Kills a worker when a task of the job has come to a step; what it had sent or was to hear is lost. Returns when that was. */
const killAt = async (stage: Stage, worker: Worker, step: string, job: string): Promise<number> => {
  const [api, match] = STEPS[step]!
  const transactionalId = new RegExp(`-${job}-\\d+$`)
  const { sprung } = stage.proxy.on(api, { ...match, transactionalId }, async (): Promise<Verdict> => {
    await worker.kill()
    return 'drop'
  })
  await sprung
  return stage.fault(`kill -9, ${step} of ${job}`)
}

/** Whole ones: what is being written has a name with a dot before it. */
const snapshotsIn = (folder: string): number =>
  existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('.')).length : 0

/** Kills a worker as soon as another snapshot lies in the model store. */
const killAfterSnapshot = async (stage: Stage, worker: Worker): Promise<number> => {
  const folder = join(stage.folder, 'models')
  const before = snapshotsIn(folder)
  await stage.until('a snapshot is taken', () => snapshotsIn(folder) > before)
  await worker.kill()
  return stage.fault('kill -9, after-snapshot')
}

row(1, 'kill -9 at each step of a commit', { config: SHORT_SESSION }, async (stage) => {
  const [worker] = await stage.started()
  stage.flow(either(150, 700))
  const short = [
    ['before-send', 'decide'],
    ['after-send', 'attribute'],
    ['before-commit', 'attribute'],
    ['after-commit', 'decide'],
  ]
  const long = ['decide', 'attribute'].flatMap((job) => Object.keys(STEPS).map((step) => [step, job]))
  for (const [step, job] of either(short, long) as [string, string][]) {
    const killed = await killAt(stage, worker!, step, job)
    worker!.start()
    await stage.recovered(killed, stage.sessionMs)
  }
  const killed = await killAfterSnapshot(stage, worker!)
  worker!.start()
  await stage.recovered(killed, stage.sessionMs)
})

row(2, 'kill -9 in a loop, three workers in rotation', { config: SHORT_SESSION }, async (stage) => {
  const workers = await stage.started(['one', 'two', 'three'])
  const kills = either(4, 20)
  stage.flow(either(150, 400))
  for (let i = 0; i < kills; i++) {
    const worker = workers[i % workers.length]!
    await worker.kill()
    const killed = stage.fault(`kill -9 of ${worker.name}`)
    worker.start()
    await stage.recovered(killed, stage.sessionMs)
    await sleep(200)
  }
})

/** What a zombie says when it finds its task taken. */
const lost = (worker: Worker, since: number) =>
  worker.lines.some(({ msg, time }) => msg.startsWith('task lost') && time >= since)

row(3, 'a stopped worker (zombie)', { config: SHORT_SESSION }, async (stage) => {
  const [zombie] = await stage.started(['zombie', 'heir'])
  stage.flow(either(120, 150))
  const asleepMs = either(0, 45_000)

  /** Stops the zombie at a step, lets the heir take over, wakes it with `wake`, and waits until it has noticed. */
  const sleepAt = async (step: string, verdict: Verdict, wake: () => void) => {
    const [api, match] = STEPS[step]!
    let heldFrame: (() => void) | undefined
    const held = new Promise<void>((resolve) => {
      heldFrame = resolve
    })
    let frozen = 0
    stage.proxy.on(api, { ...match, clientId: /^zombie$/, transactionalId: /-attribute-/ }, async () => {
      zombie!.freeze()
      frozen = stage.fault(`SIGSTOP, ${step}`)
      await held
      return verdict
    })
    await stage.until(`the zombie sleeps ${step}`, () => frozen > 0)
    await stage.recovered(frozen, stage.sessionMs)
    await sleep(asleepMs)
    const woken = Date.now()
    heldFrame!()
    wake()
    zombie!.thaw()
    await stage.until('the zombie finds its task lost', () => lost(zombie!, woken) || !zombie!.alive)
    if (!zombie!.alive) zombie!.start()
  }

  // It wakes between send and commit; its end of the transaction itself comes too late; the answer to it never comes.
  await sleepAt('after-send', 'forward', () => {})
  await sleepAt('before-commit', 'forward', () => {})
  await sleepAt('after-commit', 'drop', () => stage.proxy.cut())
})
