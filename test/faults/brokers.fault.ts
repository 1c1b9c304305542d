/** Brokers that die under load, and a coordinator that dies with a commit in its hands. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Verdict } from './proxy.ts'
import { row } from './row.ts'
import { either } from './settings.ts'

/** The harness's own producer may send a batch twice, over seconds of event time: its copies are to be known as such. */
const REMEMBERING = { join: { dedupHorizon: '1m' } }

row(
  4,
  'broker kill -9 and restart',
  { config: { kafka: { transactionTimeout: either('2s', '10s') }, ...REMEMBERING } },
  async (stage) => {
    await stage.started()
    const [node] = stage.kafka.local.nodes
    stage.flow(either(250, 250))
    for (const awayMs of either([300, 2_500], [4_000, 60_000])) {
      await sleep(500)
      await node!.kill()
      stage.fault(`broker kill -9 for ${awayMs} ms`)
      await sleep(awayMs)
      await node!.start()
      await stage.recovered(Date.now())
    }
  },
)

/** Kills the broker that a commit's end is sent to, before it sees it. */
const COMMITS = { transactionalId: /-attribute-/, when: 'request' } as const

row(7, 'coordinator down on commit', { config: REMEMBERING }, async (stage) => {
  await stage.started()
  stage.flow(either(400, 500))
  await stage.publishedShare(0.2)
  for (let i = 0; i < either(1, 5); i++) {
    let down = -1
    stage.proxy.on('EndTxn', COMMITS, async ({ line }): Promise<Verdict> => {
      await stage.kafka.local.nodes[line]!.kill()
      stage.fault('broker kill -9, before-commit of attribute')
      down = line
      return 'cut'
    })
    await stage.until('the broker is down', () => down >= 0)
    await sleep(either(500, 4_000))
    await stage.kafka.local.nodes[down]!.start()
    await stage.recovered(Date.now())
  }
})

row(
  7,
  'coordinator and leader lost on commit, of three brokers',
  { name: 'three', brokers: 3, config: REMEMBERING },
  async (stage) => {
    await stage.started()
    stage.flow(either(250, 500))
    await stage.publishedShare(0.2)
    let killed = 0
    let down = -1
    stage.proxy.on('EndTxn', COMMITS, async ({ line }): Promise<Verdict> => {
      await stage.kafka.local.nodes[line]!.kill()
      killed = stage.fault('kill -9 of the coordinator, before-commit of attribute')
      down = line
      return 'cut'
    })
    await stage.until('the coordinator is down', () => killed > 0)
    await stage.recovered(killed)
    await stage.kafka.local.nodes[down]!.start()
  },
)
