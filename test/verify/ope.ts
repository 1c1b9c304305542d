/** Off-policy estimates over recorded steps: every estimate, standard error and interval of the reference. Conventions: the set's README. */
import { type Estimate, interval, OffPolicyEstimator } from '../../operators/bandits/index.ts'
import { type CaseKind, fileWith, isRecord, numberAt, numbersAt } from './case.ts'

export const verifyOffPolicy: CaseKind = (reference, comparison) => {
  const logged = fileWith(reference, 'targetPolicy', 'rewardModel')
  const expected = fileWith(reference, 'IPS', 'SNIPS')
  const n = numberAt(logged, 'n')
  const count = numberAt(logged, 'K')
  const matrix = (key: string) => {
    const tensor = logged[key]
    if (!isRecord(tensor)) throw new Error(`'${key}' is not a tensor`)
    return numbersAt(tensor, 'data', n * count)
  }
  const target = matrix('targetPolicy')
  const model = matrix('rewardModel')
  const action = numbersAt(logged, 'action', n)
  const propensity = numbersAt(logged, 'propensity', n)
  const reward = numbersAt(logged, 'reward', n)

  const { clippedIPS, switchDR } = expected
  if (!isRecord(clippedIPS) || !isRecord(switchDR)) throw new Error('no clippedIPS or switchDR')
  const estimator = new OffPolicyEstimator({
    clip: numberAt(clippedIPS, 'clip'),
    switchAt: numberAt(switchDR, 'tau'),
  })
  for (let i = 0; i < n; i++) {
    const row = i * count
    const taken = row + action[i]!
    let v = 0
    for (let a = row; a < row + count; a++) v += target[a]! * model[a]!
    estimator.add(target[taken]! / propensity[i]!, reward[i]!, model[taken]!, v)
  }
  const { report } = estimator
  const compare = (name: string, found: readonly number[], wanted: unknown) =>
    comparison.numbers('all', found, wanted, name)
  const estimates: readonly (readonly [string, Estimate])[] = [
    ['onPolicyMean', report.logged],
    ['IPS', report.ips],
    ['SNIPS', report.snips],
    ['clippedIPS', report.clippedIps],
    ['DM', report.dm],
    ['DR', report.dr],
    ['switchDR', report.switchDr],
  ]
  for (const [name, found] of estimates) {
    const wanted = expected[name]
    if (!isRecord(wanted)) throw new Error(`'${name}' has no results`)
    compare(name, [found.value, found.standardError], [wanted['estimate'], wanted['se']])
    compare(`${name}.ci95`, interval(found), wanted['ci95'])
  }
  compare('SNDR', [report.sndr.value], expected['SNDR'])
  compare('effectiveSampleSize', [report.effectiveSampleSize], expected['effectiveSampleSize'])
  compare('maxWeight', [report.maxWeight], expected['maxWeight'])
  compare('meanWeight', [report.meanWeight.value], expected['meanWeight'])
}
