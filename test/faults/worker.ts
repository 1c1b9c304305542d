/**
 * A worker: the command `millrace run …` as its users start it, a process of its own with a written configuration. Its log is read line by
 * line; signals reach it as they would anybody. One worker may be started again and again, as a supervisor would.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { PACKAGE } from './settings.ts'

/** The heap of every worker: what must stay bounded has to find room in it, however long a fault lasts. */
const HEAP_MIB = 256

/** A line of a worker's log. */
export interface LogLine {
  /** `info`, `warn`, `error` or `fatal`. */
  readonly level: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly msg: string
  /** How often the worker had been started when it wrote the line, from 1 on. */
  readonly life: number
  readonly [field: string]: unknown
}

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
}

const DEADLINE_MS = 60_000

export class Worker {
  readonly name: string
  readonly jobs: readonly string[]
  /** Everything it has logged, in all its lives. */
  readonly lines: LogLine[] = []
  /** What was no log line: traces of faults nobody caught. */
  readonly stray: string[] = []
  readonly #folder: string
  readonly #configuration: string
  readonly #package: string
  #child: ChildProcess | undefined
  #ended: Promise<Ended> = Promise.resolve({ code: null, signal: null })
  #lives = 0

  /** @param build where the installed millrace lies; the one built from these sources where absent. */
  constructor(name: string, folder: string, jobs: readonly string[], configuration: object, build = PACKAGE) {
    this.name = name
    this.jobs = jobs
    this.#folder = folder
    this.#package = build
    this.#configuration = join(folder, `${name}.yaml`)
    this.configure(configuration)
  }

  /** Writes its configuration, for the next start (or SIGHUP). JSON is YAML. */
  configure(configuration: object): void {
    writeFileSync(this.#configuration, JSON.stringify(configuration, null, 2))
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  get alive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** How often it was started. */
  get lives(): number {
    return this.#lives
  }

  /** How it ended, when it does. */
  get ended(): Promise<Ended> {
    return this.#ended
  }

  start(): this {
    if (this.alive) throw new Error(`${this.name} runs already`)
    const life = ++this.#lives
    const { PATH, HOME, TMPDIR } = process.env
    const program = join(this.#package, 'bin/millrace.mjs')
    const child = spawn(process.execPath, [program, 'run', ...this.jobs, '--config', this.#configuration], {
      cwd: this.#folder,
      env: { PATH, HOME, TMPDIR, NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = child
    workers.add(child)
    createInterface({ input: child.stderr }).on('line', (text) => {
      try {
        const line = JSON.parse(text) as LogLine
        this.lines.push({ ...line, life, time: new Date(line.time).getTime() })
      } catch {
        this.stray.push(text)
      }
    })
    this.#ended = new Promise((resolve) =>
      child.on('close', (code, signal) => {
        workers.delete(child)
        resolve({ code, signal })
      }),
    )
    return this
  }

  /** SIGKILL; resolves when it is dead. */
  kill(): Promise<Ended> {
    this.#child?.kill('SIGKILL')
    return this.#ended
  }

  /** SIGTERM; resolves when it has ended in order. */
  stop(): Promise<Ended> {
    this.#child?.kill('SIGTERM')
    return this.#ended
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** SIGSTOP: nothing of it runs until `thaw`, and nobody is told. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Lines of the present life. */
  get present(): LogLine[] {
    return this.lines.filter(({ life }) => life === this.#lives)
  }

  /**
   * Waits for a line of the present life, the first that fits.
   * @throws Error with the log's end when it ends, or after a minute.
   */
  async until(fits: RegExp | ((line: LogLine) => boolean), what = String(fits)): Promise<LogLine> {
    const deadline = Date.now() + DEADLINE_MS
    const test = fits instanceof RegExp ? ({ msg }: LogLine) => fits.test(msg) : fits
    for (;;) {
      const { alive } = this
      const found = this.present.find(test)
      if (found !== undefined) return found
      if (!alive || Date.now() > deadline) throw new Error(`${this.name}: ${what} never came\n${this.tail()}`)
      await sleep(20)
    }
  }

  /** Partitions of a job whose tasks it has opened in its present life. */
  tasks(job: string): Set<number> {
    const opened = this.present.filter((line) => line['job'] === job && line.msg === 'task opened')
    return new Set(opened.map((line) => Number(line['partition'])))
  }

  /** Where its health and metrics are. */
  async url(): Promise<string> {
    return String((await this.until(/^starting$/))['url'])
  }

  /** What `/ready` answers. */
  async ready(): Promise<boolean> {
    return (await fetch(`${await this.url()}/ready`)).ok
  }

  /** What `/ready` says is failing, by component; empty where it is ready. */
  async reasons(): Promise<Record<string, string>> {
    const report = (await (await fetch(`${await this.url()}/ready`)).json()) as {
      reasons: Record<string, string>
    }
    return report.reasons
  }

  /** `/metrics`, as text. */
  async metrics(): Promise<string> {
    return (await fetch(`${await this.url()}/metrics`)).text()
  }

  /** Resident memory in bytes; 0 where it does not run. */
  rss(): number {
    if (!this.alive) return 0
    const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))
    return Number(kib?.[1] ?? 0) * 1024
  }

  /** The end of its log, for people. */
  tail(count = 15): string {
    const lines = this.lines.slice(-count).map(({ level, msg, life, time, ...rest }) => {
      const { pid: _, hostname: __, ...fields } = rest
      return `  ${new Date(time).toISOString().slice(11, 23)} #${life} ${level} ${msg} ${JSON.stringify(fields)}`
    })
    return [...lines, ...this.stray.slice(-count).map((line) => `  ! ${line}`)].join('\n')
  }
}

/** None outlives the suite. */
const workers = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of workers) child.kill('SIGKILL')
})
