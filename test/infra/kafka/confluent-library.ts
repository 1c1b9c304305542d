/**
 * The optional package under the confluent adapter, for tests: from node_modules, or from the folder that MILLRACE_CONFLUENT names.
 * Where it is not there its tests are skipped, loudly, always.
 */
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Library, loadLibrary, PACKAGE } from '../../../infra/kafka/confluent/library.ts'

const folder = process.env['MILLRACE_CONFLUENT'] ?? ''

export const confluentLibrary: Library | undefined = await (async () => {
  try {
    const from = createRequire(folder === '' ? import.meta.url : path.resolve(folder, 'package.json'))
    return await loadLibrary(pathToFileURL(from.resolve(PACKAGE)).href)
  } catch (error) {
    const [reason] = (error as Error).message.split('\n')
    console.warn(
      `SKIPPED: tests of the adapter over librdkafka. ${reason}: install it, or set MILLRACE_CONFLUENT`,
    )
    return undefined
  }
})()
