/** What `bin/faults.mjs` says to the suite: where it may write, and whether faults last as long as they would in earnest. */
import { join } from 'node:path'

const folder = process.env['MILLRACE_FAULTS']
if (folder === undefined || folder === '') throw new Error('run the fault suite with `npm run test:faults`')

/** Removed at the end, with everything in it. */
export const FOLDER = folder

/** millrace as it is installed: its `bin/millrace.mjs` runs what was built from these sources. */
export const PACKAGE = join(folder, 'package')

/** Whether the suite runs at its full length: `--long`. */
export const LONG = process.env['MILLRACE_FAULTS_LONG'] === '1'

/** Where the rows' lines are gathered. */
export const TABLE = join(folder, 'table.txt')

/** One of two values: the shortened one of CI, or that of `--long`. */
export const either = <T>(short: T, long: T): T => (LONG ? long : short)

/** The longest a row may take. */
export const ROW_MS = either(180_000, 1_200_000)
