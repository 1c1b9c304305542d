/**
 * The process of the embedded ClickHouse server: runs the engine's own command line (clickhouse-local) out of libchdb, opens its HTTP
 * interface there, and blocks in a query that reads a FIFO. The parent holds the FIFO's other end: when it lets go, or dies in any
 * way, the query ends and so does this process. Plain JavaScript, since it is started by path. Argument, as JSON: library, args,
 * runtime (the directory that goes with the server; the parent removes it, unless it has died).
 */
import { rmSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'

const { DataType, isNullPointer, load, open } = createRequire(import.meta.url)('ffi-rs')
const { library, args, runtime } = JSON.parse(process.argv[2])
const parent = process.ppid

open({ library: 'chdb', path: library })
const result = load({
  library: 'chdb',
  funcName: 'chdb_query_cmdline',
  retType: DataType.External,
  paramsType: [DataType.I32, DataType.StringArray],
  paramsValue: [args.length, args],
})
const errorAs = (retType) =>
  load({
    library: 'chdb',
    funcName: 'chdb_result_error',
    retType,
    paramsType: [DataType.External],
    paramsValue: [result],
  })
// NULL is "no error", and reading it as a string would end in a segmentation fault.
const failed = !isNullPointer(errorAs(DataType.External))
if (failed) writeSync(2, `${errorAs(DataType.String)}\n`)
if (process.ppid !== parent) rmSync(runtime, { recursive: true, force: true })
process.exit(failed ? 1 : 0)
