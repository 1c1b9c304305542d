/** What a benchmark says: rows for people, and one line of JSON for programs. */

/** Figures of one side of a comparison: throughputs end in `PerSecond`, times in `Ms`. Carries versions and threads. */
export type BenchRow = Readonly<Record<string, string | number>>

export interface BenchReport {
  readonly bench: string
  readonly rows: readonly BenchRow[]
  /** `<bench>.<quantity>.<peer>`: ours over theirs, the median of pairs. */
  readonly ratios: Readonly<Record<string, number>>
  /** Peers that could not be run, and why. */
  readonly missing: readonly { readonly peer: string; readonly why: string }[]
}

/** Prints the rows as a table, the ratios, what is missing, and the whole as the closing line of JSON. */
export const printReport = (report: BenchReport): void => {
  const columns = [...new Set(report.rows.flatMap((row) => Object.keys(row)))]
  const table = [columns, ...report.rows.map((row) => columns.map((column) => cell(row[column])))]
  const widths = columns.map((_, c) => Math.max(...table.map((line) => line[c]!.length)))
  for (const line of table) {
    console.log(
      line
        .map((text, c) =>
          Number.isNaN(Number.parseFloat(text)) ? text.padEnd(widths[c]!) : text.padStart(widths[c]!),
        )
        .join('  ')
        .trimEnd(),
    )
  }
  for (const [name, ratio] of Object.entries(report.ratios)) console.log(`${name} = ${ratio.toFixed(2)}`)
  for (const { peer, why } of report.missing) console.log(`missing: ${peer}: ${why}`)
  const { bench, rows, ratios, missing } = report
  console.log(JSON.stringify({ bench, rows, ratios, missing }))
}

const cell = (value: string | number | undefined): string => {
  if (value === undefined) return ''
  if (typeof value === 'string') return value
  return Math.abs(value) >= 1_000
    ? Math.round(value).toLocaleString('en')
    : String(Number(value.toPrecision(4)))
}
