/** The reference steps of off-policy evaluation, as a file of JSON lines that `millrace evaluate` reads. */
import { readFileSync } from 'node:fs'
import { goldenPath } from '../../golden.ts'

export const goldenLines = (): string => {
  const logged = JSON.parse(readFileSync(`${goldenPath('ope')}/logged.json`, 'utf8'))
  const { n, K, action, propensity, reward, targetPolicy, rewardModel } = logged
  const row = ({ data }: { data: number[] }, i: number) => data.slice(i * K, (i + 1) * K)
  const arms = Array.from({ length: K }, (_, a) => `arm-${a}`)
  return Array.from({ length: n }, (_, i) =>
    JSON.stringify({
      arms,
      action: arms[action[i]],
      propensity: propensity[i],
      reward: reward[i],
      target: row(targetPolicy, i),
      predictions: row(rewardModel, i),
    }),
  ).join('\n')
}
