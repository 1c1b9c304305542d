/** millrace as it was at a commit, built as it would be installed, with today's dependencies. What is built is removed with the suite's folder. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { FOLDER } from './settings.ts'

const ROOT = join(import.meta.dirname, '../..')
/** What `npm pack` would hold beside `dist`. */
const PACKED = ['bin', 'schemas', 'package.json', 'infra/clickhouse/embedded-child.mjs']

/** Whether this clone's history has the commit: a shallow one may not. */
export const hasCommit = (commit: string): boolean =>
  spawnSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: ROOT, stdio: 'ignore' }).status === 0

/** Builds a commit, once a suite. @returns the installed millrace, as `Worker` wants it */
export const builtAt = (commit: string): string => {
  const sources = join(FOLDER, commit, 'sources')
  const installed = join(FOLDER, commit, 'package')
  if (existsSync(installed)) return installed
  mkdirSync(sources, { recursive: true })
  run('sh', '-c', 'git archive --format=tar "$1" | tar -x -C "$2"', 'sh', commit, sources)
  symlinkSync(join(ROOT, 'node_modules'), join(sources, 'node_modules'))
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  const options = ['--noCheck', '--declaration', 'false', '--outDir', join(installed, 'dist')]
  run(process.execPath, compiler, '-p', join(sources, 'tsconfig.build.json'), ...options)
  for (const path of PACKED) cpSync(join(sources, path), join(installed, path), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'))
  return installed
}

const run = (command: string, ...parameters: string[]): void => {
  const { status, stdout, stderr } = spawnSync(command, parameters, { cwd: ROOT, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${parameters.join(' ')}: ${status}\n${stdout}${stderr}`)
}
