import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createCodec } from '../../../infra/avro/codec.ts'
import { rabinFingerprint } from '../../../infra/avro/rabin.ts'
import { MillraceError } from '../../../schemas/errors.ts'
import type { DecisionRequest, EventTypes, Reward } from '../../../schemas/generated/events.ts'
import { EVENT_NAMES, eventsOf } from './events.ts'

const codec = createCodec()

const request: DecisionRequest = {
  requestId: 'réq-1',
  policy: 'digits',
  occurredAt: 1_700_000_000_123,
  context: [0.5, -1.25],
  arms: [
    { id: 'a', features: null },
    { id: 'b', features: { price: 2.5 } },
  ],
}
const reward: Reward = { requestId: 'r', rewardId: '', value: 1, occurredAt: 1_700_000_000_000 }

/** The same request, written by Apache Avro 1.12 for Java (BinaryMessageEncoder). */
const WRITTEN_BY_JAVA =
  'c301c940d7c89c0256ca0c72c3a9712d310c646967697473f6a1abfef9620204000000000000e03f000000000000f4bf' +
  '0004026100026204020a707269636500000000000004400000'

const refusal = (code: string, message?: RegExp) =>
  expect.objectContaining({ code, ...(message && { message: expect.stringMatching(message) }) })

describe('CRC-64-AVRO', () => {
  it('gives the fingerprints Apache Avro gives', () => {
    const known = {
      null: 0x63dd24e7cc258f8an,
      boolean: 0x9f42fc78a4d4f764n,
      int: 0x7275d51a3f395c8fn,
      long: 0xd054e14493f41db7n,
      float: 0x4d7c02cb3ea8d790n,
      double: 0x8e7535c032ab957en,
      bytes: 0x4fc016dac3201965n,
      string: 0x8f014872634503c7n,
    }
    for (const [type, fingerprint] of Object.entries(known))
      expect(rabinFingerprint(`"${type}"`)).toBe(fingerprint)
  })
})

describe('single-object encoding', () => {
  it('writes the bytes Apache Avro writes, and reads them', () => {
    expect(codec.encode('decision-request', request).toString('hex')).toBe(WRITTEN_BY_JAVA)
    expect(codec.decode('decision-request', Buffer.from(WRITTEN_BY_JAVA, 'hex'))).toEqual(request)
    expect(codec.schemaIdOf(Buffer.from(WRITTEN_BY_JAVA, 'hex'))).toBe('c940d7c89c0256ca')
  })

  it.each(EVENT_NAMES)('brings every %s back', (event) => {
    fc.assert(
      fc.property(eventsOf(event), (value) => {
        const message = codec.encode(event, value as EventTypes[typeof event])
        expect(codec.decode(event, message)).toEqual(value)
      }),
      { numRuns: 60 },
    )
  })

  it('hands out messages and values that later ones do not touch', () => {
    const image = {
      imageId: 'i',
      bytes: Buffer.alloc(2000, 7),
      uri: null,
      contentType: '',
      label: null,
      occurredAt: 1,
    }
    const first = codec.encode('image', image)
    const copy = Buffer.from(first)
    codec.encode('image', { ...image, bytes: Buffer.alloc(3000, 9) })
    expect(first.equals(copy)).toBe(true)
    const decoded = codec.decode('image', first)
    first.fill(0)
    expect(decoded.bytes).toEqual(image.bytes)
  })

  it('needs no registry to prepare', async () => {
    await codec.prepare(['decision'])
    await codec.ensureSchemas([codec.encode('reward', reward), null])
    expect(codec.framing).toBe('single-object')
  })
})

describe('refusals', () => {
  it('names the path of a wrong value', () => {
    const wrong = {
      ...request,
      arms: [
        { id: 'a', features: null },
        { id: 3, features: null },
      ],
    }
    expect(() => codec.encode('decision-request', wrong as unknown as DecisionRequest)).toThrow(
      refusal('INVALID_EVENT', /DecisionRequest\.arms\.1\.id must be string, is number/),
    )
    expect(() => codec.encode('reward', { ...reward, occurredAt: 1.5 })).toThrow(
      refusal('INVALID_EVENT', /occurredAt/),
    )
    expect(() => codec.encode('reward', null as unknown as Reward)).toThrow(refusal('INVALID_EVENT'))
  })

  it('does not write what it could not read', () => {
    expect(() => codec.encode('reward', { ...reward, requestId: '\ud800' })).toThrow(
      refusal('INVALID_EVENT', /UTF-8/),
    )
    const metric = { name: 'm', value: 1, labels: JSON.parse('{"__proto__": "x"}'), at: 1 }
    expect(() => codec.encode('metric', metric)).toThrow(refusal('INVALID_EVENT', /__proto__/))
    const kind = 'constructor' as 'exact'
    expect(() => codec.encode('outcome', { propensityKind: kind } as EventTypes['outcome'])).toThrow(
      refusal('INVALID_EVENT'),
    )
  })

  it('refuses a long that would not stay exact', () => {
    for (const occurredAt of [2 ** 52, -(2 ** 52), 2 ** 60, Number.NaN]) {
      expect(() => codec.encode('reward', { ...reward, occurredAt })).toThrow(
        refusal('INVALID_EVENT', /occurredAt/),
      )
    }
  })

  it('tells a foreign schema from a broken message', () => {
    const message = codec.encode('reward', reward)
    expect(() => codec.decode('decision', message)).toThrow(refusal('UNKNOWN_SCHEMA', /decision/))
    expect(() => codec.decode('reward', Buffer.from([0, 0, 0, 0, 7, 1]))).toThrow(
      refusal('UNKNOWN_SCHEMA', /id 7/),
    )
    for (const bytes of [Buffer.alloc(0), Buffer.from([0xc3]), Buffer.from('{"requestId":"r"}')]) {
      expect(() => codec.decode('reward', bytes)).toThrow(refusal('MALFORMED_AVRO'))
    }
    expect(() => codec.decode('reward', Buffer.concat([message, Buffer.from([0])]))).toThrow(
      refusal('MALFORMED_AVRO', /left over/),
    )
  })

  it('caps messages at 1 MiB both ways, or where it is told', () => {
    const image = { imageId: 'i', uri: null, contentType: '', label: null, occurredAt: 1 }
    const large = { ...image, bytes: Buffer.alloc(1_048_576) }
    expect(() => codec.encode('image', large)).toThrow(refusal('MESSAGE_TOO_LARGE'))
    const roomy = createCodec({ maxBytes: { image: 2_000_000 } })
    const message = roomy.encode('image', large)
    expect(roomy.decode('image', message).bytes).toHaveLength(1_048_576)
    expect(() => codec.decode('image', message)).toThrow(refusal('MESSAGE_TOO_LARGE'))
  })

  it('lets 1,000 arms of 256 features through', () => {
    const roomy = createCodec({ limits: { maxBytes: 8_388_608 } })
    const features = Object.fromEntries(
      Array.from({ length: 256 }, (_, index) => [`feature-${index}`, index]),
    )
    const arms = Array.from({ length: 1000 }, (_, index) => ({ id: `${index}`, features }))
    const message = roomy.encode('decision-request', { ...request, arms })
    expect(roomy.decode('decision-request', message).arms).toHaveLength(1000)
  })

  it.each(EVENT_NAMES)('meets damaged bytes of %s with codes only', (event) => {
    const damage = fc.tuple(eventsOf(event), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean())
    fc.assert(
      fc.property(damage, ([value, where, flip, cut]) => {
        const message = codec.encode(event, value as EventTypes[typeof event])
        const at = where % message.length
        if (!cut) message[at]! ^= flip
        const damaged = cut ? message.subarray(0, at) : message
        try {
          codec.decode(event, damaged)
        } catch (error) {
          expect(error).toBeInstanceOf(MillraceError)
        }
        if (cut) expect(() => codec.decode(event, damaged)).toThrow(refusal('MALFORMED_AVRO'))
      }),
      { numRuns: 150 },
    )
  })
})
