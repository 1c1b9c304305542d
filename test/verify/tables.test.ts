/**
 * A part of the statistical tables: what is cheap. `npm run verify` plays all of them. Random numbers are fixed, so a cell passes always or never; how they were
 * chosen is said at REGRET_STREAM.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { goldenPath } from '../golden.ts'
import { ATTACK_STREAM, attackCells, momentsOf, playCell, regretCells, toleranceOf } from './tables.ts'

const table = (name: string) =>
  JSON.parse(readFileSync(join(goldenPath('bandits'), name), 'utf8')) as Record<string, unknown>

describe('the table of regret under attack', () => {
  const cells = attackCells(table('table-attack.json'))

  it('has a cell for each attack and policy', () => {
    expect(cells).toHaveLength(28)
    expect(regretCells(table('table-regret.json'))).toHaveLength(26)
  })

  it.each(
    cells.filter(({ name }) => /^(none|oracle N=10)/.test(name)).map((cell) => [cell.name, cell] as const),
  )('%s: the mean regret is that of the reference', (_, cell) => {
    const { mean, deviation } = momentsOf(playCell(cell, ATTACK_STREAM))
    expect(Math.abs(mean - cell.mean)).toBeLessThanOrEqual(toleranceOf(cell, deviation))
  })
})
