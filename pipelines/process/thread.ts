/** Worker threads that run a program of millrace's own. */
import { Worker } from 'node:worker_threads'

/**
 * Begins a thread. As shipped its program is JavaScript; from sources it begins with what runs TypeScript.
 * @param beside `import.meta.url` of a module in the folder of the program
 * @param name of the program, without its ending
 */
export const openThread = (beside: string, name: string, workerData: unknown): Worker => {
  if (!beside.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, beside), { workerData })
  const [tsx, program] = [import.meta.resolve('tsx/esm/api'), new URL(`./${name}.ts`, beside).href]
  const code = `import { register } from ${JSON.stringify(tsx)}; register(); await import(${JSON.stringify(program)})`
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData })
}
