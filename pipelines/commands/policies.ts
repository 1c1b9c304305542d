/** `millrace policies list|apply`: the definitions in the log, and the configuration's written there. */
import { Command } from 'commander'
import { SHORT_HASH } from '../../operators/bandits/state/policy-table.ts'
import type { PolicyDefinition } from '../../schemas/generated/events.ts'
import { createTopics } from '../checks/topics.ts'
import { applyDefinitions, readDefinitions } from '../states/policies.ts'
import { type ConfigurationOptions, configOption, loadConfiguration, refuseMemory } from './configuration.ts'
import { connected } from './connected.ts'
import { say, table, time } from './output.ts'

const HEADINGS = ['policy', 'version', 'mode', 'hash', 'effective from', 'applied at']

export const policiesCommand = (): Command => {
  const policies = new Command('policies').description('policy definitions, which are events in a log')

  policies
    .command('list')
    .description('every version in the log')
    .addOption(configOption())
    .option('--json', 'one line of JSON a version, with its definition')
    .action(async (options: ConfigurationOptions & { json?: boolean }) => {
      const configuration = loadConfiguration(options)
      refuseMemory(configuration.config)
      const definitions = await connected(configuration, readDefinitions)
      if (options.json) for (const definition of definitions) say(jsonOf(definition))
      else if (definitions.length === 0) say('no policy is defined: `millrace policies apply` does it')
      else say(table(HEADINGS, definitions.map(rowOf)))
    })

  policies
    .command('apply')
    .description('write what the configuration defines otherwise than the log')
    .addOption(configOption())
    .option('--create-topics', "create millrace's own topics where they are missing")
    .action(async (options: ConfigurationOptions & { createTopics?: boolean }) => {
      const configuration = loadConfiguration(options)
      refuseMemory(configuration.config)
      const applied = await connected(configuration, async (surroundings) => {
        if (options.createTopics === true || surroundings.config.topics.create)
          await createTopics(surroundings)
        return applyDefinitions(surroundings)
      })
      if (applied.length === 0) say('nothing to write: the log says what the configuration says')
      for (const definition of applied) say(appliedLine(definition))
    })

  return policies
}

const rowOf = ({ policy, version, mode, hash, effectiveFrom, appliedAt }: PolicyDefinition): string[] => [
  policy,
  String(version),
  mode,
  hash.slice(0, SHORT_HASH),
  String(effectiveFrom),
  time(appliedAt),
]

const jsonOf = ({ definition, ...rest }: PolicyDefinition): string =>
  JSON.stringify({ ...rest, definition: JSON.parse(definition) as unknown })

const appliedLine = ({ policy, version, mode, hash, effectiveFrom }: PolicyDefinition): string => {
  const place = `${policy} version ${version} (${hash.slice(0, SHORT_HASH)})`
  return mode === 'live'
    ? `${place} is live from outcome ${effectiveFrom} on; processes that run take it up when they restart`
    : `${place} is in shadow from outcome ${effectiveFrom} on: its state has another meaning, so the version before goes on deciding`
}
