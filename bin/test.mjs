#!/usr/bin/env node
// `npm test`: everything, with whatever vitest arguments follow `--`.
import { spawn } from 'node:child_process'
import { ensureInstalled } from './install.mjs'

ensureInstalled()
const vitest = new URL('../node_modules/vitest/vitest.mjs', import.meta.url).pathname
const child = spawn(process.execPath, [vitest, 'run', ...process.argv.slice(2)], { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1))
