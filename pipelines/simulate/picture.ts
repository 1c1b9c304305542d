/**
 * Curves as a picture: SVG, a panel for each environment and attack, a line a policy with a band of one standard deviation. Colours are those of Okabe and Ito
 * (2008), which stay apart for the colour-blind; beyond them, and beside them, lines differ in their dashes.
 */
import { type Axis, axisOf, tickText } from './axis.ts'
import type { CellCurve } from './summary.ts'

const COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000']
const DASHES = ['', '7 3', '2 3', '9 3 2 3']

const PANEL = { width: 470, height: 300, left: 62, right: 16, top: 40, bottom: 46 }
const HEADER = 38
const LEGEND_LINE = 22
const MARGIN = 12
/** Width of a letter, about: nothing here can measure text. */
const LETTER = 6.6

interface Style {
  readonly colour: string
  readonly dash: string
}

/** @param title stands above all panels */
export const picture = (title: string, curves: readonly CellCurve[]): string => {
  const policies = [...new Set(curves.map(({ cell }) => cell.policy.name))]
  const styles = new Map(policies.map((policy, index) => [policy, styleOf(index)]))
  const panels = panelsOf(curves)
  const attacks = new Set(curves.map(({ cell }) => cell.attack.name)).size
  const columns = Math.min(3, attacks > 1 ? attacks : Math.ceil(Math.sqrt(panels.length)))
  const places = placesOf(panels, columns, attacks > 1)
  const width = columns * PANEL.width + 2 * MARGIN
  const legend = legendOf(policies, styles, width)
  const top = HEADER + legend.lines * LEGEND_LINE
  const rows = 1 + Math.max(...places.map(({ row }) => row))
  const height = top + rows * PANEL.height + MARGIN
  const body = panels.map((panel, index) => {
    const x = MARGIN + places[index]!.column * PANEL.width
    const y = top + places[index]!.row * PANEL.height
    return `<g transform="translate(${x} ${y})">${panelOf(panel, styles, `clip${index}`)}</g>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${MARGIN + 8}" y="26" font-size="16" font-weight="bold">${escaped(title)}</text>`,
    legend.svg,
    ...body,
    '</svg>\n',
  ].join('\n')
}

interface Panel {
  readonly title: string
  readonly environment: string
  readonly quantity: CellCurve['quantity']
  readonly curves: readonly CellCurve[]
}

const panelsOf = (curves: readonly CellCurve[]): Panel[] => {
  const panels = new Map<string, CellCurve[]>()
  const several = new Set(curves.map(({ cell }) => cell.attack.name)).size > 1
  for (const curve of curves) {
    const { environment, attack } = curve.cell
    const kind = attack.kind === 'none' ? 'no attack' : attack.name
    const title = several || attack.kind !== 'none' ? `${environment.name}, ${kind}` : environment.name
    panels.set(title, [...(panels.get(title) ?? []), curve])
  }
  return [...panels].map(([title, each]) => ({
    title,
    environment: each[0]!.cell.environment.name,
    quantity: each[0]!.quantity,
    curves: each,
  }))
}

/** Row by row; with several attacks an environment begins a row, so that attacks stand below each other. */
const placesOf = (
  panels: readonly Panel[],
  columns: number,
  rowEach: boolean,
): { row: number; column: number }[] => {
  let [row, column] = [0, -1]
  return panels.map(({ environment }, index) => {
    const another = rowEach && index > 0 && environment !== panels[index - 1]!.environment
    column = another ? columns : column + 1
    if (column >= columns) [row, column] = [row + 1, 0]
    return { row, column }
  })
}

const styleOf = (index: number): Style => ({
  colour: COLOURS[index % COLOURS.length]!,
  dash: DASHES[Math.floor(index / COLOURS.length + (index % COLOURS.length)) % DASHES.length]!,
})

const legendOf = (
  policies: readonly string[],
  styles: ReadonlyMap<string, Style>,
  width: number,
): { svg: string; lines: number } => {
  let x = MARGIN + 8
  let line = 0
  const entries = policies.map((policy) => {
    const taken = 34 + LETTER * policy.length + 18
    if (x + taken > width - MARGIN && x > MARGIN + 8) {
      x = MARGIN + 8
      line++
    }
    const y = HEADER + line * LEGEND_LINE + 8
    const entry = `<line x1="${x}" y1="${y}" x2="${x + 28}" y2="${y}" ${stroke(styles.get(policy)!)}/><text x="${x + 34}" y="${y + 4}">${escaped(policy)}</text>`
    x += taken
    return entry
  })
  return { svg: entries.join('\n'), lines: line + 1 }
}

const panelOf = (
  { title, quantity, curves }: Panel,
  styles: ReadonlyMap<string, Style>,
  clip: string,
): string => {
  const { width, height, left, right, top, bottom } = PANEL
  const inner = { width: width - left - right, height: height - top - bottom }
  const values = curves.flatMap((curve) => curve.values)
  const least = quantity === 'regret' ? 0 : Math.min(...values.map(({ mean, deviation }) => mean - deviation))
  const most = Math.max(...values.map(({ mean, deviation }) => mean + deviation))
  const across = axisOf(0, Math.max(...curves.map(({ rounds }) => rounds.at(-1) ?? 1)), 6, true)
  const up = axisOf(least, most, 5)
  const x = (round: number) => left + (inner.width * (round - across.least)) / (across.most - across.least)
  const y = (value: number) => top + inner.height * (1 - (value - up.least) / (up.most - up.least))
  const point = (round: number, value: number) => `${x(round).toFixed(1)} ${y(value).toFixed(1)}`

  const bands = curves.map(({ cell, rounds, values: each }) => {
    if (each.every(({ deviation }) => deviation === 0)) return ''
    const above = rounds.map((round, i) => point(round, each[i]!.mean + each[i]!.deviation))
    const below = rounds.map((round, i) => point(round, each[i]!.mean - each[i]!.deviation)).reverse()
    return `<path d="M${[...above, ...below].join('L')}Z" fill="${styles.get(cell.policy.name)!.colour}" fill-opacity="0.14"/>`
  })
  const lines = curves.map(({ cell, rounds, values: each }) => {
    const points = rounds.map((round, i) => point(round, each[i]!.mean))
    if (quantity === 'regret') points.unshift(point(0, 0))
    return `<path d="M${points.join('L')}" fill="none" stroke-linejoin="round" ${stroke(styles.get(cell.policy.name)!)}/>`
  })
  const middle = left + inner.width / 2
  const label = quantity === 'regret' ? 'regret' : 'mean reward'
  return [
    `<text x="${left}" y="${top - 12}" font-size="13" font-weight="bold">${escaped(title)}</text>`,
    grid(up, (tick) => `M${left} ${y(tick).toFixed(1)}H${left + inner.width}`),
    ...up.ticks.map(
      (tick) =>
        `<text x="${left - 7}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${tickText(tick, up)}</text>`,
    ),
    ...across.ticks.map(
      (tick) =>
        `<text x="${x(tick).toFixed(1)}" y="${top + inner.height + 18}" text-anchor="middle">${tickText(tick, across)}</text>`,
    ),
    grid(across, (tick) => `M${x(tick).toFixed(1)} ${top + inner.height}v5`, '#888'),
    `<clipPath id="${clip}"><rect x="${left}" y="${top - 2}" width="${inner.width + 2}" height="${inner.height + 3}"/></clipPath>`,
    `<g clip-path="url(#${clip})">`,
    ...bands,
    ...lines,
    '</g>',
    `<path d="M${left} ${top + inner.height}H${left + inner.width}" stroke="#888"/>`,
    `<text x="${middle}" y="${height - 10}" text-anchor="middle" fill="#555">round</text>`,
    `<text transform="translate(14 ${top + inner.height / 2}) rotate(-90)" text-anchor="middle" fill="#555">${label}</text>`,
  ]
    .filter((part) => part !== '')
    .join('\n')
}

const grid = ({ ticks }: Axis, at: (tick: number) => string, colour = '#e6e6e6'): string =>
  `<path d="${ticks.map(at).join('')}" stroke="${colour}" fill="none"/>`

const stroke = ({ colour, dash }: Style): string =>
  `stroke="${colour}" stroke-width="2"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}`

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

const escaped = (text: string): string => text.replaceAll(/[&<>"]/g, (letter) => ENTITIES[letter]!)
