/** What a child process says on its two outputs, gathered as it comes. */
import type { Readable } from 'node:stream'

export interface ChildOutput {
  stdout: string
  stderr: string
}

/** Gathers from now on; the object given is filled as the child speaks. */
export const outputOf = (child: { readonly stdout: Readable; readonly stderr: Readable }): ChildOutput => {
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk
  })
  return output
}
