/**
 * The examples in README.md and docs/ are type-checked under the project's own settings and run. A line
 * `console.log(…) // → text` states what is printed.
 */
import * as assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { format } from 'node:util'
import * as rxjs from 'rxjs'
import { describe, expect, it } from 'vitest'
import * as bandits from '../../operators/bandits/index.ts'
import * as streams from '../../operators/streams/index.ts'
import * as xmc from '../../operators/xmc/index.ts'
import { pages, root } from './pages.ts'

// typescript is CommonJS, and large: loaded as it is.
const ts = createRequire(import.meta.url)('typescript') as typeof import('typescript')

const ROOMS = {
  'millrace/bandits': 'operators/bandits/index.ts',
  'millrace/streams': 'operators/streams/index.ts',
  'millrace/xmc': 'operators/xmc/index.ts',
}
const MODULES: Readonly<Record<string, unknown>> = {
  'millrace/bandits': bandits,
  'millrace/streams': streams,
  'millrace/xmc': xmc,
  'node:assert/strict': assert,
  rxjs,
}

interface Example {
  /** `docs/operators/lin-ucb.md#1` */
  readonly name: string
  /** Where the compiler thinks it lies: beside its page, so that paths resolve as they do in the project. */
  readonly file: string
  readonly code: string
}

const examples = pages.flatMap((page): Example[] =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
    ([, code = ''], index) => ({
      name: `${page}#${index + 1}`,
      file: join(root, `${page}.${index + 1}.ts`),
      code,
    }),
  ),
)

const problemsOf = (checked: readonly Example[]): string[] => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const paths = Object.fromEntries(Object.entries(ROOMS).map(([name, file]) => [name, [join(root, file)]]))
  const host = ts.createCompilerHost({ ...options, paths })
  const virtual = new Map(checked.map(({ file, code }) => [file, code]))
  const { fileExists, readFile } = host
  host.fileExists = (file) => virtual.has(file) || fileExists(file)
  host.readFile = (file) => virtual.get(file) ?? readFile(file)
  host.getSourceFile = (file, target) => {
    const text = host.readFile(file)
    return text === undefined ? undefined : ts.createSourceFile(file, text, target)
  }
  const program = ts.createProgram([...virtual.keys()], { ...options, paths }, host)
  return ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line + 1
    return `${file?.fileName.slice(root.length)}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
}

/** Runs an example and gives what it printed, a string a `console.log`. */
const printedBy = async ({ file, code }: Example): Promise<string[]> => {
  const { outputText } = ts.transpileModule(code, {
    fileName: file,
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2023 },
  })
  const printed: string[] = []
  const log = (...values: unknown[]) => void printed.push(format(...values))
  const load = (name: string): unknown => {
    if (!Object.hasOwn(MODULES, name)) throw new Error(`an example may not import ${name}`)
    return MODULES[name]
  }
  const run = new Function('require', 'exports', 'console', `return (async () => {${outputText}\n})()`)
  await run(load, {}, { log })
  return printed
}

const statedBy = ({ code }: Example): string[] =>
  [...code.matchAll(/console\.log\(.*\)+ \/\/ → (.*)$/gm)].map(([, text = '']) => text)

describe('examples', () => {
  it('are there for every operator', () => {
    const operators = pages.filter((page) => page.startsWith('docs/operators/'))
    expect(operators.filter((page) => !examples.some(({ name }) => name.startsWith(page)))).toEqual([])
  })

  it('type-check', { timeout: 120_000 }, () => {
    expect(problemsOf(examples)).toEqual([])
  })

  it.each(examples.map((example) => [example.name, example] as const))(
    '%s prints what it says',
    async (_, example) => {
      expect(await printedBy(example)).toEqual(statedBy(example))
    },
  )
})
