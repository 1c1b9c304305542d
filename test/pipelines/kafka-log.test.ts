import { describe, expect, it } from 'vitest'
import { kafkaLog } from '../../pipelines/process/kafka-log.ts'

describe('what the Kafka client library says', () => {
  it('is told a level lower, and the same once in ten seconds', () => {
    const lines: string[] = []
    let now = 0
    const told = kafkaLog(
      {
        warn: (_: object, message: string) => void lines.push(`${now} warn ${message}`),
        debug: (_: object, message: string) => void lines.push(`${now} debug ${message}`),
      } as Parameters<typeof kafkaLog>[0],
      () => now,
    )
    for (; now <= 20_000; now += 100) told('error', 'connection refused')
    told('info', 'joined')
    told('error', 'Response InitProducerId(key: 22, version: 1)')
    expect(lines).toEqual([
      '0 warn connection refused',
      '10000 warn connection refused',
      '20000 warn connection refused',
      '20100 debug joined',
      '20100 debug Response InitProducerId(key: 22, version: 1)',
    ])
  })
})
