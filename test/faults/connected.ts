/** The product's own functions, as a command would call them, past the proxy. */
import { loadConfig } from '../../infra/config/load.ts'
import { createLog } from '../../infra/telemetry/log.ts'
import { type Connected, connected } from '../../pipelines/commands/connected.ts'
import { overridesOf, type Tree } from './configuration.ts'

export const connectedTo = <T>(
  config: Tree,
  brokers: string,
  work: (surroundings: Connected) => Promise<T>,
): Promise<T> => {
  const loaded = loadConfig({ env: {}, overrides: overridesOf(config, brokers) })
  return connected({ config: loaded, log: createLog(loaded.log) }, work)
}
