/** Standard output: results, a line at a time. */

/** Writes one line. */
export const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** Rows under their headings, columns aligned. */
export const table = (headings: readonly string[], rows: readonly (readonly string[])[]): string => {
  const lines = [headings, ...rows]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Text from outside on one line: control characters, which could rewrite a terminal, as `·`. */
export const plain = (text: string): string => text.replaceAll(/\p{Cc}/gu, '·')

/** A time to the millisecond, in UTC. */
export const time = (milliseconds: number): string => {
  const date = new Date(milliseconds)
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString()
}
