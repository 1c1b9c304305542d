/** The reward attacks on recorded arms: what the learner is told, and what the attack costs. Conventions: the set's README. */
import { type Attack, type AttackOptions, garcelon, oracle } from '../../operators/bandits/index.ts'
import { type CaseKind, fileWith, isRecord, numberAt, numbersAt } from './case.ts'
import { linearEnvironment } from './linucb.ts'

const ATTACKS: Readonly<Record<string, (options: AttackOptions) => Attack>> = { garcelon, oracle }

export const verifyAttackRewards: CaseKind = (reference, comparison) => {
  const { arms, dimension: d, sigma, theta, contexts, noise } = linearEnvironment(fileWith(reference, 'X'))
  const { arms: sequence, cases } = fileWith(reference, 'arms', 'cases')
  if (!Array.isArray(sequence) || !Array.isArray(cases) || cases.length === 0) throw new Error('no cases')
  const means = Float64Array.from({ length: arms }, (_, a) => {
    let product = 0
    for (let i = 0; i < d; i++) product += contexts[a * d + i]! * theta[i]!
    return product
  })
  for (const each of cases as unknown[]) {
    if (!isRecord(each)) throw new Error('a case is not an object')
    const name = String(each['attack'])
    const attack = ATTACKS[name]?.({ budget: numberAt(each, 'C'), arms: numberAt(each, 'N') })
    if (attack?.on !== 'reward') throw new Error(`attack '${name}' is unknown`)
    const attacked: number[] = []
    const rewards = numbersAt({ sequence }, 'sequence', sequence.length).map((arm, t) => {
      const before = attack.budget.attacks
      const reward = attack.mean(means, arm) + sigma * noise[t]!
      if (attack.budget.attacks > before) attacked.push(t)
      return reward
    })
    const where = `${name}-${String(each['N'])}`
    comparison.numbers('reward', rewards, each['reward'], where)
    comparison.numbers('cost', [attack.budget.cost], each['cost'], where)
    comparison.numbers('attackedRounds', attacked, each['attackedRounds'], where, 'cost')
  }
}
