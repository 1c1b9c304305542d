/** The load of a benchmark (hop.ts) as its parent sees it. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Answer, Order } from './hop.ts'

export class Load {
  private readonly child: ChildProcess = fork(fileURLToPath(new URL('./hop.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
    serialization: 'advanced',
  })

  tell(order: Order): void {
    this.child.send(order)
  }

  ask(order: Order): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) => reject(new Error(`the load ended with ${code}`))
      this.child.once('exit', ended)
      this.child.once('message', (answer: Answer) => {
        this.child.off('exit', ended)
        resolve(answer)
      })
      this.child.send(order)
    })
  }

  end(): void {
    if (this.child.connected) this.child.send({ kind: 'end' } satisfies Order)
  }
}
