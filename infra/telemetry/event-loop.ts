/**
 * The event loop's delay, sampled every 10 ms (an idle loop thus reads about 10 ms). Kafka heartbeats share the loop with the
 * work: a high percentile says that work should have left it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'

export interface EventLoopWatch {
  /** 99th percentile since the start or the last reset, milliseconds; 0 before the first sample. */
  p99Ms(): number
  reset(): void
  stop(): void
}

export const watchEventLoop = (): EventLoopWatch => {
  const histogram = monitorEventLoopDelay({ resolution: 10 })
  histogram.enable()
  return {
    p99Ms: () => (histogram.count === 0 ? 0 : histogram.percentile(99) / 1e6),
    reset: () => histogram.reset(),
    stop: () => {
      histogram.disable()
    },
  }
}
