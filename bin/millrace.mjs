#!/usr/bin/env node
import { runCommandLine } from './install.mjs'

await runCommandLine(process.argv.slice(2))
