/** `millrace dead-letters list|replay`. */
import { Command } from 'commander'
import { runUntilStopped } from '../../infra/process/shutdown.ts'
import {
  type LetterAt,
  type LettersRead,
  type Replayed,
  readLetters,
  replayLetters,
} from '../delivery/dead-letters.ts'
import { topicOf } from '../process/runtime.ts'
import { type From, fromOffset, positive } from './arguments.ts'
import {
  type Configuration,
  type ConfigurationOptions,
  configOption,
  loadConfiguration,
  refuseMemory,
} from './configuration.ts'
import { connected } from './connected.ts'
import { plain, say, table, time } from './output.ts'

interface FilterOptions extends ConfigurationOptions {
  readonly code?: string
  readonly topic?: string
  readonly fromOffset?: readonly From[]
}

const DEFAULT_LIMIT = 100
const MESSAGE_WIDTH = 120
const HEADINGS = ['at', 'letter', 'source', 'bytes', 'code', 'stage', 'message']

export const deadLettersCommand = (): Command => {
  const deadLetters = new Command('dead-letters').description('records that were refused, and why')

  filtered(deadLetters.command('list').description('the newest dead letters'))
    .option('--limit <n>', 'most letters to show', positive, DEFAULT_LIMIT)
    .option('--json', 'one line of JSON a letter, key and value in base64')
    .action(async (options: FilterOptions & { limit: number; json?: boolean }) => {
      const newest: LetterAt[] = []
      const read = await connected(configurationOf(options), (surroundings) =>
        readLetters(surroundings, filterOf(options), (letters) => keepNewest(newest, letters, options.limit)),
      )
      if (options.json) for (const letter of newest) say(jsonOf(letter))
      else if (newest.length > 0) say(table(HEADINGS, newest.map(rowOf)))
      process.stderr.write(`${summaryOf(read, newest.length)}\n`)
    })

  filtered(deadLetters.command('replay').description('send their records again to where they came from'))
    .option('--dry-run', 'say what would be sent')
    .action(async (options: FilterOptions & { dryRun?: boolean }) => {
      const { dryRun = false } = options
      const configuration = configurationOf(options)
      const work = (signal: AbortSignal) =>
        connected(configuration, (surroundings) =>
          replayLetters(surroundings, {
            ...filterOf(options),
            dryRun,
            signal,
            onUnsent: ({ letter, why, ...at }) =>
              say(`not sent: ${placeOf({ letter, ...at })} of ${sourceOf({ letter, ...at })}: ${plain(why)}`),
          }),
        )
      const replayed = await runUntilStopped(work, { graceMs: configuration.config.shutdown.grace })
      const topic = topicOf(configuration.config, 'dead-letter')
      for (const line of replayLines(replayed, dryRun, topic)) say(line)
      if (replayed.lost + replayed.refused > 0) process.exitCode = 1
    })

  return deadLetters
}

const filtered = (command: Command): Command =>
  command
    .addOption(configOption())
    .option('--code <code>', 'only those refused with this code, for example WRONG_DIMENSION')
    .option('--topic <name>', 'only those that came from this topic, prefix included')
    .option(
      '--from-offset <[partition:]offset>',
      'begin there in the dead letters, in every partition or in the one named; may be repeated',
      fromOffset,
    )

const configurationOf = (options: ConfigurationOptions): Configuration => {
  const configuration = loadConfiguration(options)
  refuseMemory(configuration.config)
  return configuration
}

const filterOf = ({ code, topic, fromOffset = [] }: FilterOptions) => ({
  ...(code === undefined ? {} : { code }),
  ...(topic === undefined ? {} : { topic }),
  from: (partition: number) =>
    (
      fromOffset.findLast((from) => from.partition === partition) ??
      fromOffset.findLast((from) => from.partition === null)
    )?.offset ?? 0,
})

/** The newest by time, oldest first; never more than the limit and one batch are held. */
const keepNewest = (newest: LetterAt[], letters: readonly LetterAt[], limit: number): void => {
  newest.push(...letters)
  newest.sort((a, b) => a.letter.at - b.letter.at || a.partition - b.partition || a.offset - b.offset)
  newest.splice(0, newest.length - limit)
}

const placeOf = ({ partition, offset }: LetterAt): string => `${partition}:${offset}`

const sourceOf = ({ letter }: LetterAt): string => `${letter.topic}/${letter.partition}/${letter.offset}`

const rowOf = (at: LetterAt): string[] => {
  const { letter } = at
  const message = plain(letter.message)
  return [
    time(letter.at),
    placeOf(at),
    sourceOf(at),
    `${letter.valueLength < 0 ? 'none' : letter.valueLength}${letter.truncated ? ' (cut)' : ''}`,
    letter.code,
    letter.stage,
    message.length > MESSAGE_WIDTH ? `${message.slice(0, MESSAGE_WIDTH - 1)}…` : message,
  ]
}

const jsonOf = ({ partition, offset, letter }: LetterAt): string =>
  JSON.stringify({
    letter: { partition, offset },
    ...letter,
    key: letter.key?.toString('base64') ?? null,
    value: letter.value?.toString('base64') ?? null,
  })

const summaryOf = ({ matched, unreadable }: LettersRead, shown: number): string => {
  const hidden = matched > shown ? `, the newest ${shown} shown` : ''
  return `${letters(matched)}${hidden}${unreadableText(unreadable)}`
}

const replayLines = (replayed: Replayed, dryRun: boolean, topic: string): string[] => {
  const { matched, sent, repeated, reread, lost, refused, unreadable, next } = replayed
  const positions = [...next].map(([partition, offset]) => `--from-offset ${partition}:${offset}`).join(' ')
  return [
    `${letters(matched)}: ${sent} ${dryRun ? 'would be sent' : 'sent'} (${reread} read again at the source), ` +
      `${repeated} of records already sent, ${lost} lost, ${refused} refused${unreadableText(unreadable)}`,
    ...(dryRun ? [] : [`What comes into ${topic} from now on begins at ${positions}`]),
  ]
}

const letters = (count: number): string => (count === 1 ? '1 dead letter' : `${count} dead letters`)

const unreadableText = (count: number): string => (count === 0 ? '' : `, ${count} records that are none`)
