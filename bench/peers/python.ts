/** Peers in Python: an environment made once under `.millrace/`, and a process in it that measures on request. */
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const ENVIRONMENTS = fileURLToPath(new URL('../../.millrace', import.meta.url))

export interface PythonEnvironment {
  /** Folder under `.millrace/`. */
  readonly environment?: string
  /** What is installed, where that is not called as it is imported. */
  readonly requirements?: readonly string[]
}

export interface PythonPeers {
  /** Versions by package. */
  readonly versions: Readonly<Record<string, string>>
  /** The environment's Python. */
  readonly executable: string
  /** Sends a line of words and gives the number that is answered. */
  ask(...words: readonly (string | number)[]): Promise<number>
  close(): void
}

/**
 * @param script beside this file: says its versions as a line of JSON, then answers each line with a number
 * @throws Error where Python or a package is not to be had
 */
export const startPython = async (
  script: string,
  packages: readonly string[],
  { environment = 'bench-python', requirements = packages }: PythonEnvironment = {},
): Promise<PythonPeers> => {
  const folder = `${ENVIRONMENTS}/${environment}`
  const python = `${folder}/bin/python`
  const imports = `import ${packages.join(', ')}`
  const usable = existsSync(python) && (await execute(python, ['-c', imports]).then(Boolean, () => false))
  if (!usable) {
    console.error(`making a Python environment with ${packages.join(', ')} …`)
    await execute('python3', ['-m', 'venv', folder])
    await execute(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements])
  }
  const one = { OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }
  const child = spawn(python, [fileURLToPath(new URL(`./${script}`, import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...one },
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string> => {
    const line = await lines.next()
    if (line.done) throw new Error(`${script} ended early`)
    return line.value
  }
  return {
    executable: python,
    versions: JSON.parse(await next()) as Record<string, string>,
    ask: async (...words) => {
      child.stdin.write(`${words.join(' ')}\n`)
      return Number(await next())
    },
    close: () => child.stdin.end(),
  }
}
