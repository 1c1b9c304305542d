/** `millrace models list|show|rollback`: the versions of the models that tag documents, which are records in a log, and which of them is served. */
import { Command } from 'commander'
import { MillraceError } from '../../schemas/errors.ts'
import type { Model } from '../../schemas/generated/events.ts'
import { type ModelVersions, readModel, readModels, rollBack } from '../tag/model-log.ts'
import { positive } from './arguments.ts'
import { type ConfigurationOptions, configOption, loadConfiguration, refuseMemory } from './configuration.ts'
import { type Connected, connected } from './connected.ts'
import { say, table, time } from './output.ts'

const HEADINGS = ['model', 'version', '', 'P@1', 'P@5', 'documents', 'labels', 'sha256', 'made at']
const SHORT_HASH = 12

interface JsonOptions extends ConfigurationOptions {
  readonly json?: boolean
}

export const modelsCommand = (): Command => {
  const models = new Command('models').description('models of documents, whose versions are records in a log')

  models
    .command('list')
    .description('every version in the log, and which is served')
    .addOption(configOption())
    .option('--json', 'one line of JSON a version')
    .action(async (options: JsonOptions) => {
      const found = await reading(options, readModels)
      if (options.json)
        for (const { all, live } of found) for (const model of all) say(JSON.stringify(jsonOf(model, live)))
      else if (found.length === 0) say('there is no model yet: `millrace run retrain` trains the first')
      else
        say(
          table(
            HEADINGS,
            found.flatMap(({ all, live }) => all.map((model) => rowOf(model, live))),
          ),
        )
    })

  models
    .command('show')
    .description('one version: what it was trained on, and what it measures on the documents held out')
    .argument('<model>', 'its name')
    .argument('[version]', 'the version (default: the one served)', positive)
    .addOption(configOption())
    .option('--json', 'one line of JSON')
    .action(async (name: string, number: number | undefined, options: JsonOptions) => {
      const { versions } = await reading(options, (surroundings) => readModel(surroundings, name))
      const model = number === undefined ? served(versions) : versions.version(number)
      if (options.json) say(JSON.stringify(jsonOf(model, versions.live)))
      else for (const line of linesOf(model, versions.live)) say(line)
    })

  models
    .command('rollback')
    .description('have another version served; whoever tags takes it up at once')
    .argument('<model>', 'its name')
    .argument('[version]', 'the version (default: the promoted one before the one served)', positive)
    .addOption(configOption())
    .action(async (name: string, number: number | undefined, options: ConfigurationOptions) => {
      const { live, former } = await reading(options, (surroundings) => rollBack(surroundings, name, number))
      const instead = former === null ? '' : `, version ${former.version} no more`
      say(`${name}: version ${live.version} is served${instead}; processes that run take it up at once`)
    })

  return models
}

const reading = <T>(
  options: ConfigurationOptions,
  work: (surroundings: Connected) => Promise<T>,
): Promise<T> => {
  const configuration = loadConfiguration(options)
  refuseMemory(configuration.config)
  return connected(configuration, work)
}

const served = ({ name, live }: ModelVersions): Model => {
  if (live !== null) return live
  throw new MillraceError('UNKNOWN_MODEL', `of model "${name}" no version is served`)
}

const state = ({ version, promoted }: Model, live: Model | null): string =>
  version === live?.version ? 'served' : promoted ? '' : 'not promoted'

const rowOf = (model: Model, live: Model | null): string[] => {
  const { name, version, metrics, sha256, createdAt } = model
  const percent = (measure: string) => metrics[measure]?.toFixed(2) ?? ''
  return [
    name,
    String(version),
    state(model, live),
    percent('precision@1'),
    percent('precision@5'),
    String(metrics['documents'] ?? ''),
    String(metrics['labels'] ?? ''),
    sha256.slice(0, SHORT_HASH),
    time(createdAt),
  ]
}

const linesOf = (model: Model, live: Model | null): string[] => {
  const { name, version, uri, sha256, trainedOn, metrics, createdAt } = model
  const said = state(model, live)
  const ranges = trainedOn.map(
    ({ topic, partition, from, to }) => `  ${topic}/${partition}  ${from} to ${to - 1}`,
  )
  const measures = Object.keys(metrics).sort()
  const width = Math.max(0, ...measures.map(({ length }) => length))
  return [
    `${name} version ${version}${said === '' ? '' : `, ${said}`}, made at ${time(createdAt)}`,
    `${uri}`,
    `sha256 ${sha256}`,
    'trained on',
    ...ranges,
    'measured',
    ...measures.map((measure) => `  ${measure.padEnd(width)}  ${round(metrics[measure]!)}`),
  ]
}

const round = (value: number): string => String(Number(value.toPrecision(6)))

const jsonOf = (model: Model, live: Model | null): object => ({
  ...model,
  live: model.version === live?.version,
})
