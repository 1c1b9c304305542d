/** SIGHUP under load: a wrong configuration changes nothing, a good one takes over at a checkpoint, and nothing is lost or doubled over it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Verdict } from './proxy.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import type { Worker } from './worker.ts'

type Block = Readonly<Record<string, unknown>>

/** What the process says it runs with. */
const shown = async (worker: Worker): Promise<Block> =>
  (await (await fetch(`${await worker.url()}/config`)).json()) as Block

class Reloads {
  private readonly stage: Stage
  private readonly worker: Worker
  private readonly config: Record<string, Block>
  private readonly results = { applied: 0, refused: 0 }

  constructor(stage: Stage, worker: Worker) {
    this.stage = stage
    this.worker = worker
    const config = stage.config as Record<string, Block>
    this.config = { ...config, kafka: { ...config['kafka'], clientId: worker.name } }
  }

  /** Writes the configuration with these blocks instead, and asks for it. Returns when that was. */
  ask(how: string, blocks: Block): number {
    this.worker.configure({ ...this.config, ...blocks })
    this.worker.signal('SIGHUP')
    return this.stage.fault(`SIGHUP, ${how}`)
  }

  /** Waits until `/metrics` counts one more of these, and it is ready; the other count stays. */
  async counted(result: 'applied' | 'refused'): Promise<void> {
    this.results[result]++
    const now = async (which: string) => {
      const counter = new RegExp(`^millrace_config_reloads_total\\{result="${which}"\\} (\\d+)$`, 'm')
      return Number(counter.exec(await this.worker.metrics())?.[1] ?? 0)
    }
    await this.stage.until(`${result} is counted`, async () => (await now(result)) >= this.results[result])
    await this.stage.until('the worker is ready', () => this.worker.ready())
    expect({ applied: await now('applied'), refused: await now('refused') }).toEqual(this.results)
  }
}

/** What another configuration is known by, in each. */
const arms = (count: number): Block => ({ limits: { arms: count } })

row(23, 'reload of a wrong and of a good configuration', { config: arms(50) }, async (stage) => {
  const [worker] = await stage.started()
  const { pid } = worker!
  const reloads = new Reloads(stage, worker!)
  const endings = () => worker!.lines.filter(({ msg }) => msg.startsWith('SIGHUP: the pipelines end')).length
  stage.flow(either(250, 500))
  await stage.publishedShare(0.1)

  // What cannot be right is refused at once: no pipeline stands still for it.
  const before = await shown(worker!)
  let asked = reloads.ask('invalid', { limits: { armz: 1 }, join: { window: 'soon' } })
  await reloads.counted('refused')
  expect(await shown(worker!)).toEqual(before)
  expect(worker!.lines.find(({ msg }) => msg.startsWith('SIGHUP'))).toMatchObject({
    level: 'error',
    code: 'INVALID_CONFIG',
    msg: expect.stringMatching(/join\.window.*limits\.armz|limits\.armz.*join\.window/s),
  })
  expect(endings()).toBe(0)
  await stage.recovered(asked)

  // Another takes over while a commit is under way, and again, each with traffic.
  for (let round = 1; round <= either(2, 10); round++) {
    const { sprung } = stage.proxy.on('EndTxn', { when: 'request' }, async (): Promise<Verdict> => {
      asked = reloads.ask('valid, in the middle of a commit', arms(100 + round))
      await sleep(200)
      return 'forward'
    })
    await sprung
    await reloads.counted('applied')
    expect(await shown(worker!)).toMatchObject(arms(100 + round))
    await stage.recovered(asked)
  }

  // Nothing comes while it is switched but a record now and then, so that the first one after it is known.
  stage.pace(0)
  asked = reloads.ask('valid, in silence', arms(200))
  await reloads.counted('applied')
  await stage.recovered(Date.now())
  stage.pace(either(250, 500))

  // What only Kafka can tell is found when the old one has ended: it comes back.
  const [policy] = stage.config['policies'] as Block[]
  asked = reloads.ask('a policy not as in the log', {
    ...arms(300),
    policies: [{ ...policy, explorationFloor: 0.3 }],
  })
  await reloads.counted('refused')
  expect(await shown(worker!)).toMatchObject(arms(200))
  await worker!.until(({ msg }) => msg.startsWith('back to the configuration before. POLICY_DIFFERS'))
  await stage.recovered(asked)
  expect(worker!.pid).toBe(pid)
})
