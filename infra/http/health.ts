/**
 * Whether the process can do its work: every component says `ready` or `failing` with a reason. A component is failing until it has
 * spoken, and with no component at all the process is still starting.
 */
export interface Component {
  ready(): void
  failing(reason: string): void
}

export interface HealthReport {
  readonly ready: boolean
  /** Reason by component that is failing. */
  readonly reasons: Readonly<Record<string, string>>
}

export interface Health {
  /** A component by name; the same name gives the same component. */
  component(name: string): Component
  report(): HealthReport
  /** Resolves when every component is ready for the first time. */
  readonly firstReady: Promise<void>
}

const STARTING = 'starting'

export const createHealth = (): Health => {
  /** Undefined: ready. */
  const components = new Map<string, string | undefined>()
  let becameReady = () => {}
  const firstReady = new Promise<void>((resolve) => {
    becameReady = resolve
  })
  const report = (): HealthReport => {
    if (components.size === 0) return { ready: false, reasons: { process: STARTING } }
    const failing = [...components].filter((entry): entry is [string, string] => entry[1] !== undefined)
    return { ready: failing.length === 0, reasons: Object.fromEntries(failing) }
  }
  return {
    component: (name) => {
      if (!components.has(name)) components.set(name, STARTING)
      return {
        ready: () => {
          components.set(name, undefined)
          if (report().ready) becameReady()
        },
        failing: (reason) => void components.set(name, reason),
      }
    },
    report,
    firstReady,
  }
}
