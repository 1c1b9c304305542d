/**
 * A process that outlives this one by moments: it reads a pipe that only this process holds open, and at its end, whatever ended
 * it, takes the brokers along and removes their temporary folder.
 */
import { spawn } from 'node:child_process'

/** The last line read names the processes that live. */
const SCRIPT =
  'while read -r line; do pids=$line; done; kill -TERM $pids; ' +
  'for i in 1 2 3 4 5; do sleep 1; kill -0 $pids || break; done; ' +
  'kill -KILL $pids; if [ -n "$1" ]; then rm -rf "$1"; fi'

export interface Watcher {
  /** Says which processes it is to end. */
  watch(pids: readonly number[]): void
  /** Ends it, and nothing else. */
  dismiss(): void
}

/** `temporaryFolder` is removed too; none where empty. */
export const startWatcher = (temporaryFolder: string): Watcher => {
  const watcher = spawn('sh', ['-c', SCRIPT, 'sh', temporaryFolder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  const { stdin } = watcher
  ;(stdin as unknown as { unref?(): void }).unref?.()
  stdin.on('error', () => {})
  return {
    watch: (pids) => void stdin.write(`${pids.join(' ')}\n`),
    dismiss: () => void watcher.kill('SIGKILL'),
  }
}
