/**
 * TypeScript types from Avro schemas, as their values come out of the codec: records become interfaces with readonly fields and
 * the schema's documentation, enums unions of strings, `bytes` Buffer, `long` number (the codec refuses those beyond 2^52).
 *
 * Our own lines because the packages for it were tried and did not fit: @ovotech/avro-ts brings its own TypeScript 4 at run
 * time (65 MB), wraps everything in namespaces and repeats each schema as text; avro-typescript drops the documentation and adds
 * `undefined`. Neither makes fields readonly.
 */

export type Schema = string | readonly Schema[] | ComplexSchema

interface ComplexSchema {
  readonly type: Schema
  readonly name?: string
  readonly doc?: string
  readonly symbols?: readonly string[]
  readonly items?: Schema
  readonly values?: Schema
  readonly fields?: readonly { readonly name: string; readonly type: Schema; readonly doc?: string }[]
}

export interface RecordSchema extends ComplexSchema {
  readonly name: string
}

const PRIMITIVES: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'boolean',
  int: 'number',
  long: 'number',
  float: 'number',
  double: 'number',
  string: 'string',
  bytes: 'Buffer',
}

/**
 * Declarations of all named types in the schemas, each once, those used before those that use them.
 * @throws Error where one name has two meanings, or a name none.
 */
export const typesOf = (schemas: readonly Schema[]): string => {
  const declared = new Map<string, { readonly meaning: string; text: string }>()

  const typeOf = (schema: Schema): string => {
    if (typeof schema === 'string') {
      const name = PRIMITIVES[schema] ?? schema.split('.').at(-1)!
      if (!PRIMITIVES[schema] && !declared.has(name)) throw new Error(`unknown Avro type ${schema}`)
      return name
    }
    // `T | null` reads better than Avro's order, where null comes first.
    if (isUnion(schema))
      return [...schema]
        .sort((a, b) => +(a === 'null') - +(b === 'null'))
        .map(typeOf)
        .join(' | ')
    if (schema.items !== undefined) return `readonly ${grouped(typeOf(schema.items))}[]`
    if (schema.values !== undefined) return `Readonly<Record<string, ${typeOf(schema.values)}>>`
    if (schema.name === undefined) return typeOf(schema.type)
    return declare(schema, schema.name)
  }

  const declare = (schema: ComplexSchema, name: string): string => {
    const meaning = JSON.stringify({ ...schema, namespace: undefined })
    const known = declared.get(name)
    if (known && known.meaning !== meaning) throw new Error(`${name} has two meanings`)
    if (known) return name
    const own = { meaning, text: '' }
    if (schema.fields) {
      declared.set(name, own) // before its fields, which may refer to it
      const fields = schema.fields.map(
        (field) => `${comment(field.doc, '  ')}  readonly ${field.name}: ${typeOf(field.type)}\n`,
      )
      own.text = `${comment(schema.doc)}export interface ${name} {\n${fields.join('')}}\n`
      declared.delete(name)
    } else if (schema.symbols) {
      const symbols = schema.symbols.map((symbol) => `'${symbol}'`).join(' | ')
      own.text = `${comment(schema.doc)}export type ${name} = ${symbols}\n`
    } else {
      own.text = `${comment(schema.doc)}export type ${name} = Buffer\n` // fixed
    }
    declared.set(name, own)
    return name
  }

  for (const schema of schemas) typeOf(schema)
  return [...declared.values()].map(({ text }) => text).join('\n')
}

const isUnion = (schema: Schema): schema is readonly Schema[] => Array.isArray(schema)

const grouped = (type: string): string => (/[ |]/.test(type) ? `(${type})` : type)

const comment = (doc: string | undefined, indent = ''): string =>
  doc === undefined ? '' : `${indent}/** ${doc.replaceAll('*/', '* /')} */\n`
