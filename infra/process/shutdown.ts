/**
 * The end of a process. The first SIGINT or SIGTERM aborts a signal: the work stops pulling, drains, commits and closes, and has
 * `graceMs` for it. A second signal, or the end of the grace, exits at once with 130 or 143; since outputs and positions are
 * committed together, nothing is lost, only done again.
 */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

export type StopSignal = keyof typeof EXIT_CODES

export interface ShutdownOptions {
  readonly graceMs: number
  /** Told once, when the orderly end begins. */
  readonly onStop?: (signal: StopSignal) => void
  /** Told just before a forced exit. Must not wait. */
  readonly onForced?: (signal: StopSignal, why: 'second signal' | 'grace exceeded') => void
}

/**
 * Runs `work` until it ends by itself or has ended after a signal; gives its result. Signals are caught only in between.
 * @throws whatever `work` throws.
 */
export const runUntilStopped = async <T>(
  work: (stop: AbortSignal) => Promise<T>,
  { graceMs, onStop, onForced }: ShutdownOptions,
): Promise<T> => {
  const controller = new AbortController()
  let grace: NodeJS.Timeout | undefined
  const force = (signal: StopSignal, why: 'second signal' | 'grace exceeded'): never => {
    try {
      onForced?.(signal, why)
    } finally {
      process.exit(EXIT_CODES[signal])
    }
  }
  const caught = (signal: StopSignal): void => {
    if (controller.signal.aborted) force(signal, 'second signal')
    grace = setTimeout(force, graceMs, signal, 'grace exceeded')
    onStop?.(signal)
    controller.abort(new Error(`stopped by ${signal}`))
  }
  const signals = Object.keys(EXIT_CODES) as StopSignal[]
  for (const signal of signals) process.on(signal, caught)
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(grace)
    for (const signal of signals) process.off(signal, caught)
  }
}
