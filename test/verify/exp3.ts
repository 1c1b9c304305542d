/** EXP3 on recorded rewards and uniforms: the index drawn each round, probabilities and log-weights on the way, and γ for a table of sizes. */
import { drawArm, Exp3, exp3Gamma } from '../../operators/bandits/index.ts'
import { type CaseKind, fileWith, isRecord, numberAt, numbersAt } from './case.ts'

export const verifyExp3: CaseKind = (reference, comparison) => {
  const file = fileWith(reference, 'rewards', 'u', 'pAfter')
  const n = numberAt(file, 'n')
  const rounds = numberAt(file, 'T')
  const { rewards, pAfter, logwAfter, gammaTable } = file
  if (!isRecord(rewards) || !isRecord(pAfter) || !isRecord(logwAfter)) throw new Error('no checkpoints')
  const paid = numbersAt(rewards, 'data', rounds * n)
  const uniforms = numbersAt(file, 'u', rounds + 1)
  const exp3 = new Exp3(n, { horizon: rounds, clip: false })
  const indices = [drawArm(exp3.weigh(), n, uniforms[0]!)]
  for (let t = 0; t < rounds; t++) {
    const index = indices[t]!
    exp3.learnDrawn(paid[t * n + index]!, index, exp3.weigh()[index]!)
    const p = exp3.weigh()
    const done = String(t + 1)
    if (done in pAfter) comparison.numbers('p', p, pAfter[done], `after ${done}`)
    if (done in logwAfter) comparison.numbers('logw', exp3.logWeights, logwAfter[done], `after ${done}`)
    indices.push(drawArm(p, n, uniforms[t + 1]!))
  }
  comparison.numbers('index', indices, file['index'])
  comparison.numbers('gamma', [exp3.gamma], file['gamma'])
  if (!Array.isArray(gammaTable)) throw new Error("'gammaTable' is not a list")
  for (const row of gammaTable as unknown[]) {
    if (!isRecord(row)) throw new Error('a row of gammaTable is not an object')
    const gamma = exp3Gamma(numberAt(row, 'n'), numberAt(row, 'T'))
    comparison.numbers('gamma', [gamma], row['gamma'], `gammaTable n=${row['n']} T=${row['T']}`)
  }
}
