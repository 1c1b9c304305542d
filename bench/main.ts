/** `npm run bench -- <name>`: one benchmark against its peers or its ceiling; prints a table and closes with one line of JSON. */
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type BenchReport, printReport } from './report.ts'

/** Files beside this one that are no benchmarks. */
const SHARED = new Set(['main.ts', 'measure.ts', 'report.ts'])

const folder = fileURLToPath(new URL('.', import.meta.url))
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts') && !SHARED.has(file))
  .map((file) => file.slice(0, -'.ts'.length))
const [name, ...rest] = process.argv.slice(2)

if (name === undefined || rest.length > 0 || !names.includes(name) || !existsSync(`${folder}${name}.ts`)) {
  console.error(`usage: npm run bench -- <${names.join(' | ')}>`)
  process.exitCode = 2
} else {
  const { run } = (await import(`./${name}.ts`)) as { run: () => Promise<BenchReport> }
  printReport(await run())
}
