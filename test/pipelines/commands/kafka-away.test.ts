/** The end of a process whose Kafka is away. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type LocalKafka, startLocalKafka } from '../../../infra/kafka/local.ts'
import { kafkaMissing } from '../../kafka-server.ts'
import { eventually, useCommandLine } from './millrace.ts'

// A broker of the test's own is taken away.
describe.skipIf(kafkaMissing !== '')('millrace run, its Kafka away', () => {
  const millrace = useCommandLine()

  it('ends in order and in time at SIGTERM', async () => {
    const kafka: LocalKafka = await startLocalKafka()
    try {
      millrace.write(
        'away.yaml',
        `kafka: { brokers: ['${kafka.bootstrap}'] }
http: { port: 0 }
metrics: { interval: 200ms }
policies:
  - { name: homepage, algorithm: { kind: linUcb }, features: { dense: 2 } }
`,
      )
      const at = ['--config', 'away.yaml']
      await millrace.run('policies', 'apply', '--create-topics', ...at)
      const started = millrace.start('run', 'decide', 'attribute', ...at)
      const [, url] = await started.until(/"url":"(http:[^"]+)","pipelines"/)
      await eventually('ready', async () => ((await fetch(`${url}/ready`)).ok ? true : undefined))
      await eventually('tasks', async () =>
        started.stderr().split('task opened').length > 8 ? true : undefined,
      )
      await kafka.nodes[0]!.kill()
      // Any moment would do; by this one every part has met its absence.
      await sleep(1_000)
      started.child.kill('SIGTERM')
      const { code, stderr } = await started.ended
      expect(stderr).not.toContain('ended at once')
      expect(code).toBe(0)
    } finally {
      await kafka.stop()
    }
  })
})
