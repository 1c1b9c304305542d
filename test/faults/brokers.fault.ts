/** Brokers that die under load, and a coordinator that dies with a commit in its hands. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Verdict } from './proxy.ts'
import { row } from './row.ts'
import { either } from './settings.ts'

/** The harness's own producer may send a batch twice, over seconds of event time: its copies are to be known as such. */
const REMEMBERING = { join: { dedupHorizon: '1m' } }

/**
 * Three brokers, always: a lone Kafka 4.4 that is killed between a commit's acknowledgement and its markers begins again without the markers, so
 * that what it acknowledged is undone (docs/delivery.md).
 */
const CLUSTER = { brokers: 3, config: REMEMBERING } as const

row(4, 'broker kill -9 and restart', CLUSTER, async (stage) => {
  await stage.started()
  stage.flow(either(120, 250))
  for (const [killed, awayMs] of either([300, 2_500], [300, 4_000, 60_000]).entries()) {
    await sleep(500)
    const node = stage.kafka.local.nodes[killed]!
    await node.kill()
    stage.fault(`broker kill -9 for ${awayMs} ms`)
    await sleep(awayMs)
    await node.start()
    await stage.recovered(Date.now())
  }
})

/** Kills the broker that a commit's end is sent to, before it sees it. */
const COMMITS = { transactionalId: /-attribute-/, when: 'request' } as const

row(7, 'coordinator and leader lost on commit', CLUSTER, async (stage) => {
  await stage.started()
  stage.flow(either(150, 500))
  for (let i = 1; i <= either(1, 5); i++) {
    await stage.publishedShare(i / 6)
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
  }
})
