import { defineConfig } from 'vitest/config'
import { SummaryReporter } from '../summary-reporter.ts'

/**
 * Two processes take the files, each with a Kafka and a ClickHouse that its rows share and that end with it: rows wait more than they work. With
 * `--long` one, so that times to recover are told on a machine that does nothing else.
 */
// biome-ignore lint/style/noDefaultExport: what vitest asks for
export default defineConfig({
  test: {
    include: ['test/faults/**/*.fault.ts'],
    reporters: ['default', new SummaryReporter()],
    pool: 'forks',
    maxWorkers: process.env['MILLRACE_FAULTS_LONG'] === '1' ? 1 : 2,
    isolate: false,
    disableConsoleIntercept: true,
    hookTimeout: 60_000,
  },
})
