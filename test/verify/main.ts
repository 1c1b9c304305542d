/** `npm run verify -- <folder> [--only <kind,…>]`: holds millrace against a folder of reference vectors. */
import { parseArgs } from 'node:util'
import { resultLine, verifyFolder } from './verify.ts'

const USAGE = 'usage: npm run verify -- <folder> [--only <kind,…>]'

const main = async (): Promise<number> => {
  const { values, positionals } = parseArgs({ options: { only: { type: 'string' } }, allowPositionals: true })
  const [folder, ...rest] = positionals
  if (folder === undefined || rest.length > 0) throw new Error(USAGE)
  const only = values.only?.split(',').map((kind) => kind.trim())
  const results = await verifyFolder(
    folder,
    only?.filter((kind) => kind !== ''),
  )
  for (const result of results) console.log(resultLine(result))
  const failed = results.filter(({ passed }) => !passed).length
  console.log(`${results.length - failed} passed, ${failed} failed`)
  return failed > 0 ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
