/** `millrace policies list|apply|promote|demote`: the definitions in the log, the configuration's written there, and which version decides. */
import { Command } from 'commander'
import { SHORT_HASH } from '../../operators/bandits/state/policy-table.ts'
import { partsOf } from '../../operators/bandits/state/split.ts'
import type { PolicyDefinition } from '../../schemas/generated/events.ts'
import { createTopics } from '../checks/topics.ts'
import { applyDefinitions, readDefinitions } from '../states/policies.ts'
import { type Change, demote, type PromoteOptions, promote } from '../states/promotion.ts'
import { positive } from './arguments.ts'
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
    .option('--shadow', 'start in shadow also what keeps the meaning of the state (exploration, floor)')
    .action(async (options: ConfigurationOptions & { createTopics?: boolean; shadow?: boolean }) => {
      const configuration = loadConfiguration(options)
      refuseMemory(configuration.config)
      const applied = await connected(configuration, async (surroundings) => {
        if (options.createTopics === true || surroundings.config.topics.create)
          await createTopics(surroundings)
        return applyDefinitions(surroundings, { shadow: options.shadow === true })
      })
      if (applied.length === 0) say('nothing to write: the log says what the configuration says')
      for (const definition of applied) say(appliedLine(definition))
    })

  policies
    .command('promote')
    .description('let a version that is in shadow decide')
    .argument('<policy>', 'the name of the policy')
    .addOption(configOption())
    .option(
      '--version <n>',
      'the version (default: the only one in shadow above the one that decides)',
      positive,
    )
    .option('--cold', 'also one whose state has not learned from the version that decides')
    .action(async (policy: string, options: ConfigurationOptions & PromoteOptions) => {
      const configuration = loadConfiguration(options)
      refuseMemory(configuration.config)
      const { version, cold = false } = options
      const asked = { cold, ...(version === undefined ? {} : { version }) }
      const change = await connected(configuration, (surroundings) => promote(surroundings, policy, asked))
      for (const line of changeLines(change)) say(line)
    })

  policies
    .command('demote')
    .description('give a policy back to the version that decided before')
    .argument('<policy>', 'the name of the policy')
    .addOption(configOption())
    .action(async (policy: string, options: ConfigurationOptions) => {
      const configuration = loadConfiguration(options)
      refuseMemory(configuration.config)
      const change = await connected(configuration, (surroundings) => demote(surroundings, policy))
      for (const line of changeLines(change)) say(line)
    })

  return policies
}

/** What changed, and what else is to be done. */
const changeLines = ({ live, former }: Change): string[] => {
  const place = ({ version, hash }: PolicyDefinition) => `version ${version} (${hash.slice(0, SHORT_HASH)})`
  const split = (definition: PolicyDefinition) => partsOf(JSON.parse(definition.definition))
  return [
    `${live.policy}: ${place(live)} decides, ${place(former)} does no more; processes that run take it up at once`,
    ...(split(live) === split(former)
      ? []
      : [`${live.policy}: it is split otherwise: reload (SIGHUP) the processes that run attribute`]),
  ]
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
    ? `${place} is live from outcome ${effectiveFrom} on; processes that run take it up at once`
    : `${place} is in shadow from outcome ${effectiveFrom} on: the version before goes on deciding, and \`millrace policies promote ${policy} --version ${version}\` lets this one`
}
