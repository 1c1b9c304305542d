import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { CUT_VALUE_LENGTH, deadLetter, WHOLE_VALUE_LIMIT } from '../../../operators/streams/dead-letter.ts'

const refusal = { stage: 'decode', code: 'MALFORMED_AVRO', message: 'no framing' } as const
const record = (value: Buffer | null, key: Buffer | null = Buffer.from('k')) => ({
  topic: 't',
  partition: 2,
  offset: 7,
  key,
  value,
})

test('it keeps a value up to the limit whole, with where it came from and why', () => {
  const value = Buffer.alloc(WHOLE_VALUE_LIMIT, 7)
  expect(deadLetter(record(value), refusal, '42', 1_000)).toEqual({
    ...record(value),
    ...refusal,
    valueLength: WHOLE_VALUE_LIMIT,
    valueSha256: createHash('sha256').update(value).digest('hex'),
    truncated: false,
    schemaId: '42',
    at: 1_000,
  })
})

test('it cuts a larger value, and says length and hash of the whole', () => {
  const value = Buffer.alloc(WHOLE_VALUE_LIMIT + 1, 7)
  const letter = deadLetter(record(value), refusal, '', 0)
  expect(letter.value).toHaveLength(CUT_VALUE_LENGTH)
  expect(letter).toMatchObject({ truncated: true, valueLength: WHOLE_VALUE_LIMIT + 1 })
  expect(letter.valueSha256).toBe(createHash('sha256').update(value).digest('hex'))
})

test('it cuts a huge key and a huge message, and keeps a missing value missing', () => {
  const letter = deadLetter(
    record(null, Buffer.alloc(CUT_VALUE_LENGTH + 1)),
    { ...refusal, message: 'x'.repeat(5_000) },
    '',
    0,
  )
  expect(letter).toMatchObject({ value: null, valueLength: -1, valueSha256: '', truncated: true })
  expect(letter.key).toHaveLength(CUT_VALUE_LENGTH)
  expect(letter.message).toHaveLength(1_000)
})
