/**
 * Holds the demo to one result on two brokers: in memory, and on a real Kafka that it starts for itself. Counts must be equal and the last
 * reward rates close; prints both runs' numbers, and says every difference. Part of CI; needs Java.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

const EVENTS = 20_000
/** How far the last reward rates may lie apart: the order in which rewards come back differs. */
const RATE_TOLERANCE = 0.02
const LEAST_RATE = 0.85
/** A run that takes longer hangs. */
const TIMEOUT_MS = 300_000

interface Summary {
  readonly events: number
  readonly decisions: number
  readonly outcomes: number
  readonly deadLetters: number
  readonly rows: Readonly<Record<string, number>>
  readonly rewardRateLast: number
}

const run = (...options: string[]): Promise<Summary> =>
  new Promise((resolve, reject) => {
    const start = join(import.meta.dirname, '../bin/start.mjs')
    const words = ['--events', String(EVENTS), '--exit', ...options]
    const what = `npm start -- ${words.join(' ')}`
    console.log(`\n$ ${what}`)
    const child = spawn(process.execPath, [start, ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: TIMEOUT_MS,
    })
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const last = out.trimEnd().split('\n').at(-1) ?? ''
      console.log(last)
      if (code !== 0) return reject(new Error(`${what} ended with ${code ?? signal}:\n${out}`))
      try {
        resolve(JSON.parse(last) as Summary)
      } catch {
        reject(new Error(`${what} did not close standard output with JSON:\n${out}`))
      }
    })
  })

const countsOf = ({ events, decisions, outcomes, deadLetters, rows }: Summary) => ({
  events,
  decisions,
  outcomes,
  deadLetters,
  'rows.decisions': rows['decisions'],
  'rows.outcomes': rows['outcomes'],
})

const problemsOf = (memory: Summary, kafka: Summary): string[] => {
  const problems: string[] = []
  const onKafka = countsOf(kafka)
  for (const [name, count] of Object.entries(countsOf(memory))) {
    const other = onKafka[name as keyof typeof onKafka]
    if (count !== other) problems.push(`${name}: ${count} in memory, ${other} on Kafka`)
  }
  for (const [where, summary] of Object.entries({ 'in memory': memory, 'on Kafka': kafka })) {
    const { events, decisions, outcomes, deadLetters, rows, rewardRateLast } = summary
    if (events !== EVENTS) problems.push(`${where}: ${events} events, ${EVENTS} were asked for`)
    if (decisions + deadLetters !== events)
      problems.push(`${where}: ${decisions} decisions and ${deadLetters} dead letters of ${events} events`)
    for (const [name, count] of Object.entries({
      outcomes,
      'rows.decisions': rows['decisions'],
      'rows.outcomes': rows['outcomes'],
    }))
      if (count !== decisions) problems.push(`${where}: ${name} is ${count}, decisions are ${decisions}`)
    if (!(rewardRateLast >= LEAST_RATE))
      problems.push(`${where}: the last reward rate is ${rewardRateLast}, below ${LEAST_RATE}`)
  }
  const apart = Math.abs(memory.rewardRateLast - kafka.rewardRateLast)
  if (!(apart <= RATE_TOLERANCE))
    problems.push(`the last reward rates lie ${apart.toFixed(4)} apart, more than ${RATE_TOLERANCE}`)
  return problems
}

try {
  const memory = await run()
  const kafka = await run('--kafka', 'local')
  const problems = problemsOf(memory, kafka)
  for (const problem of problems) console.error(`DIFFERS ${problem}`)
  if (problems.length > 0) process.exitCode = 1
  else console.log('\nThe demo gives the same counts in memory and on Kafka.')
} catch (error) {
  console.error(`FAILED ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
