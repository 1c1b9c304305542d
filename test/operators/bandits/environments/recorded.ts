/** The fixed arms and the recorded noise of the attack vectors, as an environment. */
import { readFileSync } from 'node:fs'
import type { Environment } from '../../../../operators/bandits/environments/environment.ts'
import { goldenPath } from '../../../golden.ts'
import { linearEnvironment } from '../../../verify/linucb.ts'

export type Json = Readonly<Record<string, unknown>>

export const golden = (file: string): Json =>
  JSON.parse(readFileSync(`${goldenPath('bandits')}/${file}`, 'utf8')) as Json

export const recordedEnvironment = (inputs: Json): Environment => {
  const { rounds, arms, dimension: d, sigma, theta, contexts, noise } = linearEnvironment(inputs)
  const ids = Array.from({ length: arms }, (_, a) => String(a))
  const means = Float64Array.from(ids, (_, a) => {
    let product = 0
    for (let i = 0; i < d; i++) product += contexts[a * d + i]! * theta[i]!
    return product
  })
  let round = -1
  return {
    dimension: d,
    arms: ids,
    rounds,
    knowsMeans: true,
    input: { arms: ids, vectors: contexts, oneVector: false },
    means,
    next: () => void round++,
    reward: (arm) => means[arm]! + sigma * noise[round]!,
    target: (reward) => reward,
  }
}
