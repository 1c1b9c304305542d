import { defineConfig } from 'vitest/config'
import { SummaryReporter } from '../summary-reporter.ts'

/** One process for all rows, one row after the other: they share a Kafka and a ClickHouse, which end with that process. */
// biome-ignore lint/style/noDefaultExport: what vitest asks for
export default defineConfig({
  test: {
    include: ['test/faults/**/*.fault.ts'],
    reporters: ['default', new SummaryReporter()],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    isolate: false,
    disableConsoleIntercept: true,
    hookTimeout: 60_000,
  },
})
