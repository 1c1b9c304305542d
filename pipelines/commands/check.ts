/** `millrace check`: a line a check, one exit code, nothing changed. */
import { Command } from 'commander'
import { checkTables } from '../checks/check-tables.ts'
import {
  checkMappings,
  checkPolicies,
  checkRegistry,
  checkSchemas,
  checkTopics,
  type Finding,
  finding,
} from '../checks/checks.ts'
import { openBroker, openRegistry } from '../process/open.ts'
import {
  type Configuration,
  type ConfigurationOptions,
  configOption,
  loadConfiguration,
} from './configuration.ts'
import { plain, say } from './output.ts'

/** Who checks wants to know now: what does not answer is not waited for as long as in a start. */
const PATIENCE_MS = 5_000

export const checkCommand = (): Command =>
  new Command('check')
    .description(
      'whether configuration, schemas, topics, tables and policies are fit to run; changes nothing',
    )
    .addOption(configOption())
    .action(async (options: ConfigurationOptions) => {
      let fit = true
      const show = (findings: readonly Finding[]) => {
        for (const { ok, what, detail } of findings) {
          fit &&= ok
          say(`${ok ? 'ok  ' : 'FAIL'} ${what}: ${detail.split('\n').map(plain).join('\n     ')}`)
        }
      }
      show(await finding('schemas', checkSchemas))
      show(
        await finding('configuration', async () => {
          const configuration = loadConfiguration(options)
          const { file = 'no file: defaults and environment' } = configuration
          show([{ ok: true, what: 'configuration', detail: file }])
          await checkSurroundings(configuration, show)
          return []
        }),
      )
      if (!fit) process.exitCode = 1
    })

const checkSurroundings = async (
  { config: given, log }: Configuration,
  show: (findings: readonly Finding[]) => void,
): Promise<void> => {
  const patience = (configured: number) => Math.min(configured, PATIENCE_MS)
  const config = { ...given, kafka: { ...given.kafka, patience: patience(given.kafka.patience) } }
  const registry = openRegistry(config)
  try {
    show(await checkMappings(config, registry))
    show(await finding('registry', () => checkRegistry(config)))
    show(
      await finding('kafka', async () => {
        const memory = config.kafka.adapter === 'memory'
        const broker = await openBroker(config, log)
        try {
          show([{ ok: true, what: 'kafka', detail: memory ? 'in memory' : `${broker.address} answers` }])
          const later = 'in memory: made anew at every start'
          if (memory) return ['topics', 'policies'].map((what) => ({ ok: true, what, detail: later }))
          show(await finding('topics', () => checkTopics(config, broker)))
          return await finding('policies', () => checkPolicies(config, broker, registry))
        } finally {
          await broker.close()
        }
      }),
    )
    show(await finding('tables', () => checkTables(config, patience(config.clickhouse.patience))))
  } finally {
    registry?.close()
  }
}
