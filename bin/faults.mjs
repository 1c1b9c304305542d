#!/usr/bin/env node
// `npm run test:faults -- [--long] [-t 'row 3:'] [file …]`: the fault suite, on a real Kafka and a real ClickHouse. Builds millrace as it is
// installed, in a folder of its own, so that the workers are the product's own command (of the commit that `--build` names, else of the
// sources as they are), and prints the rows' table at the end. MILLRACE_FAULTS_KEEP=1 keeps the folder.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ensureInstalled } from './install.mjs'

ensureInstalled()
const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const folder = mkdtempSync(join(tmpdir(), 'millrace-faults-'))
const { values, positionals } = parseArgs({
  options: { long: { type: 'boolean' }, build: { type: 'string' }, t: { type: 'string', short: 't' } },
  allowPositionals: true,
})

/** What `npm pack` would hold, beside the installed dependencies. Types are checked elsewhere. */
const build = (from) => {
  const to = join(folder, 'package')
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  const options = ['--noCheck', '--declaration', 'false', '--outDir', join(to, 'dist')]
  const project = join(from, 'tsconfig.build.json')
  const { status } = spawnSync(process.execPath, [compiler, '-p', project, ...options], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
  mkdirSync(join(to, 'infra/clickhouse'), { recursive: true })
  for (const path of ['bin', 'schemas', 'package.json', 'infra/clickhouse/embedded-child.mjs'])
    cpSync(join(from, path), join(to, path), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'))
}

/** The sources of a commit, with today's dependencies. */
const sourcesOf = (commit) => {
  const to = join(folder, 'sources')
  mkdirSync(to)
  const command = 'git archive --format=tar "$1" | tar -x -C "$2"'
  const { status } = spawnSync('sh', ['-c', command, 'sh', commit, to], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'))
  return to
}

/** The servers see that the suite has ended, and take a moment to end too. */
const clean = async () => {
  if (process.env.MILLRACE_FAULTS_KEEP === '1') return void process.stderr.write(`kept: ${folder}\n`)
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      return rmSync(folder, { recursive: true, force: true })
    } catch {
      await setTimeout(200)
    }
  }
  process.stderr.write(`left behind: ${folder}\n`)
}

build(values.build === undefined ? root : sourcesOf(values.build))
const temporary = join(folder, 'tmp')
mkdirSync(temporary)
const vitest = join(root, 'node_modules/vitest/vitest.mjs')
const config = join(root, 'test/faults/vitest.config.ts')
const named = values.t === undefined ? [] : ['-t', values.t]
const child = spawn(
  process.execPath,
  [vitest, 'run', '--root', root, '--config', config, ...named, ...positionals],
  {
    stdio: 'inherit',
    env: {
      ...process.env,
      TMPDIR: temporary,
      MILLRACE_FAULTS: folder,
      MILLRACE_FAULTS_LONG: values.long ? '1' : '',
    },
  },
)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', async (code, signal) => {
  const table = join(folder, 'table.txt')
  if (existsSync(table)) process.stdout.write(`\n${readFileSync(table, 'utf8')}`)
  await clean()
  process.exit(signal === null ? (code ?? 1) : 1)
})
