/** The numpy peer: a Python environment made once under `.millrace/`, and a process in it that measures on request. */
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const ENVIRONMENT = fileURLToPath(new URL('../../.millrace/bench-python', import.meta.url))
const SCRIPT = fileURLToPath(new URL('./numpy_linucb.py', import.meta.url))

export interface NumpyPeer {
  /** Versions of numpy and Python. */
  readonly version: string
  /** Decisions with their updates a second. */
  measure(d: number, k: number): Promise<number>
  close(): void
}

/** @throws Error where Python or numpy is not to be had */
export const startNumpy = async (): Promise<NumpyPeer> => {
  const python = `${ENVIRONMENT}/bin/python`
  const usable =
    existsSync(python) && (await execute(python, ['-c', 'import numpy']).then(Boolean, () => false))
  if (!usable) {
    console.error('making a Python environment with numpy …')
    await execute('python3', ['-m', 'venv', ENVIRONMENT])
    await execute(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'numpy'])
  }
  const one = { OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }
  const child = spawn(python, [SCRIPT], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...one },
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string> => {
    const line = await lines.next()
    if (line.done) throw new Error('the numpy process ended early')
    return line.value
  }
  const version = await next()
  return {
    version,
    measure: async (d, k) => {
      child.stdin.write(`${d} ${k}\n`)
      return Number(await next())
    },
    close: () => child.stdin.end(),
  }
}
