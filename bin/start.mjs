#!/usr/bin/env node
// `npm start`: the demo, with whatever options follow `--`.
import { ensureInstalled, runCommandLine } from './install.mjs'

ensureInstalled()
await runCommandLine(['demo', ...process.argv.slice(2)])
