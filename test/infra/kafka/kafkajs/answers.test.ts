/** What was sent and what was answered. */
import { expect, test } from 'vitest'
import { requireAnswers } from '../../../../infra/kafka/kafkajs/producer.ts'

const message = (partition: number) => ({ key: null, value: Buffer.from('v'), partition })

test('a partition that no leader has answered for fails its transaction, whatever the others say', () => {
  const round = [
    { topic: 'a', messages: [message(0), message(1), message(1)] },
    { topic: 'b', messages: [message(0)] },
  ]
  const answers = [
    { topicName: 'a', partition: 0 },
    { topicName: 'a', partition: 1 },
    { topicName: 'b', partition: 0 },
  ]
  expect(() => requireAnswers(round, answers)).not.toThrow()
  for (const { topicName, partition } of answers) {
    const others = answers.filter((each) => each.topicName !== topicName || each.partition !== partition)
    expect(() => requireAnswers(round, others)).toThrow(`${topicName}/${partition}`)
  }
})
