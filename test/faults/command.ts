/** millrace's other commands, as people type them, on a row's own servers. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { outputOf } from '../child-output.ts'
import { PACKAGE } from './settings.ts'
import type { Stage } from './stage.ts'

export interface CommandResult {
  readonly code: number | null
  /** What it wrote to standard output. */
  readonly said: string
  readonly errors: string
}

/** Runs `millrace <words…> --config …` to its end. @param config in place of the stage's own. @param build see `Worker`. */
export const millrace = (
  stage: Stage,
  words: readonly string[],
  config: object = stage.config,
  build = PACKAGE,
): Promise<CommandResult> => {
  const file = join(stage.folder, 'command.yaml')
  writeFileSync(file, JSON.stringify(config))
  const { PATH, HOME, TMPDIR } = process.env
  const program = join(build, 'bin/millrace.mjs')
  const child = spawn(process.execPath, [program, ...words, '--config', file], {
    cwd: stage.folder,
    env: { PATH, HOME, TMPDIR },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = outputOf(child)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, said: output.stdout, errors: output.stderr }))
  })
}
