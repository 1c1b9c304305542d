/** Arbitrary events for property tests, made from the schemas themselves. */
import avsc from 'avsc'
import fc from 'fast-check'
import { typeOfSchema } from '../../../infra/avro/payload.ts'
import { type EventName, SCHEMAS } from '../../../schemas/generated/events.ts'

export const EVENT_NAMES = Object.keys(SCHEMAS) as EventName[]

/** Any value of an Avro type, `__proto__` as a map key apart. */
export const valuesOf = (type: avsc.Type): fc.Arbitrary<unknown> => {
  const { types } = avsc
  if (type instanceof types.RecordType) {
    return fc.record(Object.fromEntries(type.fields.map((field) => [field.name, valuesOf(field.type)])))
  }
  if (type instanceof types.ArrayType) return fc.array(valuesOf(type.itemsType), { maxLength: 6 })
  if (type instanceof types.MapType) {
    const keys = text().filter((key) => key !== '__proto__')
    return fc.dictionary(keys, valuesOf(type.valuesType), { maxKeys: 6, noNullPrototype: true })
  }
  if (type instanceof types.UnwrappedUnionType) return fc.oneof(...type.types.map(valuesOf))
  if (type instanceof types.EnumType) return fc.constantFrom(...type.symbols)
  switch (type.typeName) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'int':
      return fc.integer()
    case 'long':
      return fc.integer({ min: -(2 ** 52) + 1, max: 2 ** 52 - 1 })
    case 'double':
      return fc.double()
    case 'string':
      return text()
    case 'bytes':
      return fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
  }
  throw new Error(`no values of ${type.typeName}`)
}

const text = () => fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 60, maxLength: 200 }))

export const eventsOf = (event: EventName): fc.Arbitrary<unknown> =>
  valuesOf(typeOfSchema(SCHEMAS[event].current))
