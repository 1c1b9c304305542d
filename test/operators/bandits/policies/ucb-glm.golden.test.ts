import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { goldenPath } from '../../../golden.ts'
import { isRecord } from '../../../verify/case.ts'
import { logisticRecording, replayUcbGlm } from '../../../verify/ucb-glm.ts'
import { verifyFolder } from '../../../verify/verify.ts'

const folder = goldenPath('bandits')
const load = (name: string): Record<string, unknown> => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'))

describe('UCB-GLM against the reference', () => {
  const recording = logisticRecording(load('inputs-glm.json'))
  const runs = load('ucbglm.json')['runs'] as Record<string, Record<string, unknown>>

  it('passes verification: arms and labels exactly, θ to 1e-7, regret to 1e-8', async () => {
    const results = await verifyFolder(folder, ['ucb-glm'])
    expect(results.map(({ name, passed, details }) => [name, passed, details])).toEqual([
      ['ucb-glm', true, expect.stringMatching(/arms=0 .*labels=0 .*theta=.*regret=/s)],
    ])
  })

  it.each(Object.keys(runs))('pulls the same arms, run %s', (name) => {
    const expected = runs[name]!
    const config = expected['config']
    if (!isRecord(config)) throw new Error('the run has no settings')
    expect([...replayUcbGlm(recording, config).arms]).toEqual(expected['arms'])
  })

  it('flips the second label where both warm-up rewards agree, and only there', () => {
    const { labels } = replayUcbGlm(recording, { alpha: 0.5, lam: 1 })
    expect(labels[0]).not.toBe(labels[1])
    const agreeing = { ...recording, uniforms: recording.uniforms.with(0, 0).with(1, 0) }
    expect([...replayUcbGlm(agreeing, { alpha: 0.5, lam: 1 }).labels.subarray(0, 2)]).toEqual([1, 0])
  })

  it('has, streaming and greedy, no more than a fifth more regret than the exact fit', () => {
    const exact = replayUcbGlm(recording, { alpha: 0, lam: 1 }, 'exact')
    const streaming = replayUcbGlm(recording, { alpha: 0, lam: 1 }, 'streaming')
    expect(streaming.regret.at(-1)! / exact.regret.at(-1)!).toBeLessThan(1.2)
  })
})
