/** How far a training has come, as a bar on a terminal; elsewhere the log says enough. */
import { bar, LiveLine } from '../../infra/process/live-line.ts'
import type { OnTraining } from './trainer.ts'

export const trainingLine = (stream: NodeJS.WriteStream): OnTraining => {
  if (!stream.isTTY) return () => {}
  const line = new LiveLine(stream)
  return (what, done, total) => {
    if (what === 'storing') line.clear()
    else line.show(() => `retrain ${bar(done / Math.max(1, total))} ${what}`)
  }
}
