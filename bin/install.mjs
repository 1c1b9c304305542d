// Makes `npm start` and `npm test` work on a fresh clone: installs what package-lock.json names when it is not there yet.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const packagesOf = (file) => JSON.parse(readFileSync(join(root, file), 'utf8')).packages

/** Whether every package of the lock file is installed in its version; optional ones may be missing. */
const installed = () => {
  if (!existsSync(join(root, 'node_modules/.package-lock.json'))) return false
  const present = packagesOf('node_modules/.package-lock.json')
  return Object.entries(packagesOf('package-lock.json')).every(
    ([path, wanted]) =>
      path === '' || wanted.optional || wanted.devOptional || present[path]?.version === wanted.version,
  )
}

export const ensureInstalled = () => {
  if (!existsSync(join(root, 'package-lock.json')) || installed()) return
  process.stderr.write('Installing dependencies (npm ci), once …\n')
  const start = performance.now()
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const { status } = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) process.exit(status ?? 1)
  // What measures the time from the start leaves this out.
  performance.measure('install', { start, end: performance.now() })
}

/** Runs the command line: compiled where that was built (an installed package), else from its TypeScript sources. */
export const runCommandLine = async (args) => {
  const compiled = join(root, 'dist/pipelines/main.js')
  if (existsSync(join(root, 'tsconfig.json')) || !existsSync(compiled)) {
    const { register } = await import('tsx/esm/api')
    register()
    const { main } = await import('../pipelines/main.ts')
    return main(args)
  }
  const { main } = await import(compiled)
  return main(args)
}
