import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  checkMapping,
  compileSink,
  compileSource,
  mappingProblems,
  parseJson,
  type SourceEvents,
} from '../../../operators/streams/mapping.ts'
import { parsePath, readPath } from '../../../operators/streams/mapping-path.ts'
import { MillraceError } from '../../../schemas/errors.ts'
import type { Decision } from '../../../schemas/generated/events.ts'

type Fields = Readonly<Record<string, unknown>>

const REWARD: Fields = { requestId: '$.id', value: '$.amount', occurredAt: '$.ts' }

const mapReward = (fields: Fields, message: unknown) =>
  compileSource({ event: 'reward', fields: { ...REWARD, ...fields } })(message)

/** The message of the error that a call throws, which must carry the code. */
const failure = (code: string, call: () => unknown): string => {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError)
    expect((error as MillraceError).code).toBe(code)
    return (error as MillraceError).message
  }
  throw new Error('nothing was thrown')
}

describe('paths', () => {
  it.each([
    ['$', []],
    ['$.a.b', ['a', 'b']],
    ['$.a-b_1[0][12]', ['a-b_1', 0, 12]],
    [`$['c d']["e'f"].g`, ['c d', "e'f", 'g']],
    [`$['it\\'s \\\\ here']`, ["it's \\ here"]],
  ])('%s has the steps %j', (text, steps) => {
    expect(parsePath(text)).toEqual(steps)
  })

  it.each([
    '',
    'a',
    '.a',
    '$a',
    '$.',
    '$..a',
    '$.a.',
    '$[*]',
    '$[-1]',
    '$[a]',
    "$['']",
    "$['a]",
    '$.a b',
    '$[0',
    '$[?(@.a)]',
    '$.0',
  ])('%j is none', (text) => {
    expect(parsePath(text)).toBeUndefined()
  })

  it('reach any value, by whatever keys', () => {
    const quoted = (key: string) => `['${key.replace(/[\\']/g, '\\$&')}']`
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string({ minLength: 1 }), fc.nat(5)), { maxLength: 6 }),
        fc.integer(),
        (steps, leaf) => {
          const root = steps.reduceRight<unknown>((inner, step) => {
            if (typeof step === 'number')
              return Object.assign(new Array(step + 1).fill(null), { [step]: inner })
            return Object.fromEntries([[step, inner]])
          }, leaf)
          const text = `$${steps.map((step) => (typeof step === 'number' ? `[${step}]` : quoted(step))).join('')}`
          expect(parsePath(text)).toEqual(steps)
          expect(readPath(root, steps)).toBe(leaf)
        },
      ),
    )
  })

  it('see own properties only', () => {
    for (const path of [
      '$.constructor',
      '$.__proto__',
      '$.toString.name',
      '$.a.length',
      '$.list.length',
      '$.text[0]',
    ])
      expect(readPath({ a: 'text', list: [1], text: 'abc' }, parsePath(path) ?? [])).toBeUndefined()
  })
})

describe('a source of decision requests', () => {
  const fields: Fields = {
    requestId: { path: '$.auction.id', as: 'string' },
    policy: { value: 'homepage' },
    occurredAt: { path: '$.ts', unit: 's' },
    context: {
      names: {
        age: '$.user.age',
        visits: { path: '$.user.visits', default: 0 },
        country: { path: '$.user.country', as: 'category' },
      },
    },
    arms: {
      each: '$.candidates',
      id: '$.sku',
      features: { names: { price: { path: "$['list price']", as: 'number' } } },
    },
  }
  const map = compileSource({ event: 'decision-request', fields })
  const message = {
    auction: { id: 17 },
    ts: 1_700_000_000.25,
    user: { age: 33, country: 'DE' },
    candidates: [
      { sku: 'a', 'list price': '9.5' },
      { sku: 'b', 'list price': 1e1 },
    ],
  }

  it('gives the event', () => {
    expect(map(message)).toEqual({
      requestId: '17',
      policy: 'homepage',
      occurredAt: 1_700_000_000_250,
      context: { age: 33, visits: 0, 'country=DE': 1 },
      arms: [
        { id: 'a', features: { price: 9.5 } },
        { id: 'b', features: { price: 10 } },
      ],
    })
  })

  it('takes features as they are: dense, named, listed or constant', () => {
    const context = (declared: unknown, given: unknown) =>
      compileSource({
        event: 'decision-request',
        fields: {
          requestId: '$.id',
          policy: '$.p',
          occurredAt: '$.t',
          context: declared,
          arms: { value: ['x', { id: 'y', features: [1] }] },
        },
      })({ id: 'r', p: 'p', t: 1, f: given })
    expect(context('$.f', [1, 2]).context).toEqual([1, 2])
    expect(context('$.f', new Float32Array([1, 2])).context).toEqual([1, 2])
    expect(context('$.f', { a: 1, b: 2n }).context).toEqual({ a: 1, b: 2 })
    expect(context(['$.f.a', { path: '$.f.b', as: 'number' }], { a: 1, b: '-2e1' }).context).toEqual([1, -20])
    expect(context({ value: { a: 1 } }, null).context).toEqual({ a: 1 })
    expect(context({ path: '$.f', default: null }, null).context).toBeNull()
    expect(context({ path: '$.f', as: 'number' }, [true, '2']).context).toEqual([1, 2])
    expect(context('$.f', []).arms).toEqual([
      { id: 'x', features: null },
      { id: 'y', features: [1] },
    ])
  })

  it('leaves features out where none are declared', () => {
    const bare = compileSource({
      event: 'decision-request',
      fields: { requestId: '$.id', policy: '$.p', occurredAt: '$.t', arms: { each: '$.arms', id: '$' } },
    })
    expect(bare({ id: 'r', p: 'p', t: 1, arms: ['a', 'b'] })).toEqual({
      requestId: 'r',
      policy: 'p',
      occurredAt: 1,
      context: null,
      arms: [
        { id: 'a', features: null },
        { id: 'b', features: null },
      ],
    })
  })

  it.each([
    [{ auction: {} }, 'requestId ($.auction.id): must be text or an exact whole number, found nothing'],
    [{ auction: { id: 2 ** 53 } }, 'found number 9007199254740992'],
    [
      { ts: 'soon' },
      'occurredAt ($.ts): must be a finite number (text is taken with as: number), found text "soon"',
    ],
    [
      { user: { age: '33', country: 'DE' } },
      'context.names.age ($.user.age): must be a finite number (text is taken with as: number), found text "33"',
    ],
    [{ user: { age: 1, country: null } }, 'context.names.country ($.user.country): must be a category'],
    [{ candidates: {} }, 'arms ($.candidates): must be a list, found an object'],
    [
      {
        candidates: [
          { sku: 'a', 'list price': 1 },
          { sku: 3, 'list price': 1 },
        ],
      },
      'candidate 1: arms.id ($.sku): must be text',
    ],
    [
      { candidates: [{ sku: 'a', 'list price': 'dear' }] },
      `candidate 0: arms.features.names.price ($['list price']): must be a finite number or its text, found text "dear"`,
    ],
  ])('refuses %j, naming field, path and what was found', (change, text) => {
    expect(failure('MAPPING_FAILED', () => map({ ...message, ...change }))).toContain(text)
  })

  it('never throws anything but MAPPING_FAILED, for any JSON', () => {
    const outline = fc.record(
      {
        auction: fc.record({ id: fc.jsonValue() }),
        ts: fc.jsonValue(),
        user: fc.jsonValue(),
        candidates: fc.array(fc.jsonValue()),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(
        fc.oneof(fc.jsonValue(), outline, fc.anything({ withBigInt: true, withNullPrototype: true })),
        (value) => {
          try {
            map(value)
          } catch (error) {
            expect((error as MillraceError).code).toBe('MAPPING_FAILED')
          }
        },
      ),
      { numRuns: 1_000 },
    )
  })
})

describe('times', () => {
  it.each([
    ['ms', 1_700_000_000_123, 1_700_000_000_123],
    ['ms', 1_700_000_000_123n, 1_700_000_000_123],
    ['ms', new Date(5), 5],
    ['s', 1_700_000_000, 1_700_000_000_000],
    ['us', 1_700_000_000_123_456, 1_700_000_000_123],
    ['us', 1_700_000_000_123_456n, 1_700_000_000_123],
    ['iso', '2024-02-29T12:00:00Z', 1_709_208_000_000],
    ['iso', '2024-02-29T12:00:00.5+01:00', 1_709_204_400_500],
  ])('in %s: %s is %d', (unit, given, milliseconds) => {
    expect(
      mapReward({ occurredAt: { path: '$.ts', unit } }, { id: 'r', amount: 1, ts: given }).occurredAt,
    ).toBe(milliseconds)
  })

  it.each([
    ['iso', '2024-02-29T12:00:00'],
    ['iso', '2024-02-29'],
    ['iso', '2024-13-01T00:00:00Z'],
    ['iso', 5],
    ['s', 1e300],
    ['ms', 9e15],
    ['us', 10n ** 30n],
    ['ms', '5'],
    ['ms', null],
  ])('in %s: %s is refused', (unit, given) => {
    expect(
      failure('MAPPING_FAILED', () =>
        mapReward({ occurredAt: { path: '$.ts', unit } }, { id: 'r', amount: 1, ts: given }),
      ),
    ).toContain('occurredAt ($.ts)')
  })

  it('in text of a number, with as: number', () => {
    expect(
      mapReward({ occurredAt: { path: '$.ts', unit: 's', as: 'number' } }, { id: 'r', amount: 1, ts: '2' })
        .occurredAt,
    ).toBe(2_000)
  })
})

describe('values', () => {
  it('may be big integers while exact, and have defaults', () => {
    expect(
      mapReward(
        { rewardId: { path: '$.n', as: 'string', default: 'first' } },
        { id: 'r', amount: 3n, ts: 1 },
      ),
    ).toEqual({
      requestId: 'r',
      rewardId: 'first',
      value: 3,
      occurredAt: 1,
    })
    expect(
      mapReward({ rewardId: { path: '$.n', as: 'string' } }, { id: 'r', amount: 1, ts: 1, n: 2n ** 60n })
        .rewardId,
    ).toBe('1152921504606846976')
    expect(mapReward({}, { id: 'r', amount: 1, ts: 1 }).rewardId).toBe('')
  })

  it.each([2n ** 60n, Number.NaN, Number.POSITIVE_INFINITY, '1', true, [1], {}])(
    '%s is no reward',
    (amount) => {
      failure('MAPPING_FAILED', () => mapReward({}, { id: 'r', amount, ts: 1 }))
    },
  )

  it.each([
    ['1', 1],
    ['-.5e2', -50],
    [false, 0],
  ])('%s is one with as: number', (amount, value) => {
    expect(mapReward({ value: { path: '$.amount', as: 'number' } }, { id: 'r', amount, ts: 1 }).value).toBe(
      value,
    )
  })

  it.each(['', ' 1', '0x10', '1_000', 'Infinity', 'NaN', '1,5', '١'])(
    'the text %j is no number even then',
    (amount) => {
      failure('MAPPING_FAILED', () =>
        mapReward({ value: { path: '$.amount', as: 'number' } }, { id: 'r', amount, ts: 1 }),
      )
    },
  )

  it('never reach a prototype', () => {
    const map = compileSource({
      event: 'decision-request',
      fields: {
        requestId: '$.id',
        policy: '$.id',
        occurredAt: { value: 0 },
        context: '$.f',
        arms: { value: ['a'] },
      },
    })
    const hostile = parseJson(Buffer.from('{"id":"r","f":{"__proto__":1,"constructor":2}}'))
    expect(failure('MAPPING_FAILED', () => map(hostile))).toContain('context ($.f)')
    expect(map(parseJson(Buffer.from('{"id":"r","f":{"constructor":2}}'))).context).toEqual({
      constructor: 2,
    })
    expect(Object.keys(Object.prototype)).toEqual([])
  })
})

describe('declarations', () => {
  const problems = (event: keyof SourceEvents, fields: Fields) =>
    mappingProblems({ sources: [{ event, fields }] }).map(
      ({ path, message }) => `${path.slice(3).join('.')}: ${message}`,
    )

  it('are refused all at once', () => {
    expect(
      problems('reward', {
        requestId: 'id',
        amount: '$.a',
        value: { path: '$.v', as: 'numbr', unit: 's' },
        occurredAt: { path: '$.t', unit: 'h' },
      }),
    ).toEqual([
      'amount: unknown field: known are requestId, rewardId, value, occurredAt',
      "requestId: must be a path: $ and then .name, ['any key'] or [0], such as $.user.ids[0]",
      'value.as: must be one of number',
      'value.unit: means nothing for this field',
      'occurredAt.unit: must be one of s, ms, us, iso',
    ])
    expect(failure('INVALID_CONFIG', () => compileSource({ event: 'reward', fields: {} }))).toContain(
      'requestId: is required',
    )
  })

  it.each([
    [{ requestId: 5 }, 'requestId: must be a path such as'],
    [{ requestId: { path: '$.a', value: 1 } }, 'requestId: must be a path such as'],
    [{ requestId: { value: 1 } }, 'requestId.value: must be text'],
    [{ requestId: { value: 'x', as: 'string' } }, 'requestId.as: unknown key'],
    [{ requestId: { path: '$.a', default: 3 } }, 'requestId.default: must be text'],
    [{ context: { names: {} } }, 'context.names: must be a block of at least one name'],
    [{ context: { names: { a: 'b' } } }, 'context.names.a: must be a path'],
    [{ context: { names: { a: '$' }, dense: 3 } }, 'context.dense: unknown key'],
    [{ context: ['$.a', 3] }, 'context.1: must be a path such as'],
    [{ arms: '$.candidates' }, 'arms: must be {each: '],
    [{ arms: { each: '$.c' } }, 'arms.id: must be a path such as'],
    [{ arms: { each: 'c', id: '$', extra: 1 } }, 'arms.extra: unknown key'],
    [{ arms: { value: [3] } }, 'arms.value: must be a list of names'],
  ])('such as %j are refused at their place', (change, text) => {
    const fields = { requestId: '$.r', policy: '$.p', occurredAt: '$.t', arms: { value: ['a'] }, ...change }
    expect(problems('decision-request', fields).join('\n')).toContain(text)
  })

  it('are problems and never exceptions, for any tree', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.dictionary(
          fc.constantFrom('requestId', 'value', 'occurredAt', 'a.b', '__proto__'),
          fc.jsonValue(),
        ),
        (value, fields) => {
          mappingProblems({ sources: value, sinks: value })
          mappingProblems({
            sources: [value, { event: 'reward', fields }],
            sinks: [value, { event: 'decision', fields, key: value }],
          })
          mappingProblems({ sources: [{ event: 'toString', fields }] })
        },
      ),
    )
  })
})

describe('a sink', () => {
  const decision: Decision = {
    requestId: 'r1',
    policy: 'homepage',
    policyVersion: 2,
    policyHash: 'ab',
    occurredAt: 1_700_000_000_123,
    decidedAt: 1_700_000_000_200,
    arm: 'b',
    propensity: 0.75,
    propensityKind: 'exact',
    arms: ['a', 'b'],
    probabilities: [0.25, 0.75],
    ranking: [1, 0],
    vector: [1],
    hyperParameters: [{ name: 'alpha', value: 0.25, probability: 1 }],
    stateOffset: 5,
    requestPartition: 0,
    requestOffset: 9,
  }

  it('puts values where the names say', () => {
    const sink = compileSink({
      event: 'decision',
      fields: {
        'auction.winner': '$.arm',
        'auction.time': { path: '$.decidedAt', unit: 'iso' },
        "auction['to the second']": { path: '$.occurredAt', unit: 's' },
        version: { path: '$.policyVersion', as: 'string' },
        alpha: '$.hyperParameters[0].value',
        all: '$.probabilities',
        by: { value: { name: 'millrace' } },
        third: { path: '$.arms[2]', default: 'none' },
      },
    })
    expect(sink.key(decision)).toBe('r1')
    expect(sink.value(decision)).toEqual({
      auction: { winner: 'b', time: '2023-11-14T22:13:20.200Z', 'to the second': 1_700_000_000.123 },
      version: '2',
      alpha: 0.25,
      all: [0.25, 0.75],
      by: { name: 'millrace' },
      third: 'none',
    })
  })

  it('may be keyed by another field', () => {
    expect(compileSink({ event: 'decision', key: '$.policy', fields: { a: '$.arm' } }).key(decision)).toBe(
      'homepage',
    )
  })

  it('says what an event lacks', () => {
    const sink = compileSink({ event: 'decision', fields: { third: '$.arms[2]' } })
    expect(failure('MAPPING_FAILED', () => sink.value(decision))).toBe(
      'third ($.arms[2]): must be there, found nothing',
    )
  })

  it.each([
    [{}, 'must have at least one field'],
    [{ a: '$.propencity' }, 'a: the event has no propencity: it has requestId'],
    [{ a: '$.arm', 'a.b': '$.arm' }, 'a.b: lies inside another field, or holds one'],
    [{ 'a.b': '$.arm', a: '$.arm' }, 'a: lies inside another field, or holds one'],
    [{ 'a[0]': '$.arm' }, 'a[0]: must be named by its place'],
    [{ 'a.__proto__.b': '$.arm' }, 'must be named by its place'],
    [{ 'a b': '$.arm' }, 'must be named by its place'],
  ])('with fields %j is refused', (fields, text) => {
    expect(failure('INVALID_CONFIG', () => compileSink({ event: 'decision', fields }))).toContain(text)
  })
})

describe('checkMapping', () => {
  it('gives the event of a sample', () => {
    const sample = Buffer.from('{"id": "r", "amount": 2, "ts": 7}')
    expect(checkMapping({ event: 'reward', fields: REWARD }, sample)).toEqual({
      requestId: 'r',
      rewardId: '',
      value: 2,
      occurredAt: 7,
    })
  })

  it('reads other formats by a decoder', () => {
    const decoded = { id: 'r', amount: 2n, ts: 7n }
    expect(checkMapping({ event: 'reward', fields: REWARD }, new Uint8Array(1), () => decoded).value).toBe(2)
  })

  it.each(['', '{', '{"id": NaN}', '\xff'])('refuses %j as MALFORMED_JSON', (text) => {
    failure('MALFORMED_JSON', () =>
      checkMapping({ event: 'reward', fields: REWARD }, Buffer.from(text, 'latin1')),
    )
  })

  it('survives nesting a million deep', () => {
    const deep = Buffer.from('['.repeat(1e6) + ']'.repeat(1e6))
    failure('MAPPING_FAILED', () => checkMapping({ event: 'reward', fields: REWARD }, deep))
  })
})
