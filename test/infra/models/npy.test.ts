/** .npy as NumPy writes it; what a header claims is refused before anything is allocated for it. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dtypeOf, npyHeader, readNpyHeader } from '../../../infra/models/npy.ts'
import { goldenPath } from '../../golden.ts'

const wrong = (why: string) => new Error(why)
const read = (bytes: Uint8Array, size = bytes.length) => readNpyHeader(bytes, size, wrong)

/** A file of format 1 with this dictionary, and so many bytes behind it. */
const file = (dictionary: string, behind = 0, version = 1): Buffer => {
  const length = Buffer.alloc(version === 1 ? 2 : 4)
  if (version === 1) length.writeUInt16LE(dictionary.length)
  else length.writeUInt32LE(dictionary.length)
  return Buffer.concat([
    Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1'),
    length,
    Buffer.from(dictionary, 'latin1'),
    Buffer.alloc(behind),
  ])
}

const shaped = (shape: string, dtype = '<f4') =>
  `{'descr': '${dtype}', 'fortran_order': False, 'shape': ${shape}, }\n`

describe('.npy', () => {
  it('writes the header that NumPy writes, byte for byte', () => {
    // np.save of np.zeros(3, np.float32), np.int32 and np.float64.
    for (const array of [new Float32Array(3), new Int32Array(3), new Float64Array(3)]) {
      const text = `{'descr': '${dtypeOf(array)}', 'fortran_order': False, 'shape': (3,), }`
      const expected = `\x93NUMPY\x01\0\x76\0${text.padEnd(117)}\n`
      expect(npyHeader(array).toString('latin1')).toBe(expected)
    }
  })

  it('reads what it writes, whatever the length', () => {
    fc.assert(
      fc.property(
        fc.nat(100_000),
        fc.constantFrom(Int32Array, Float32Array, Float64Array),
        (length, Kind) => {
          const array = new Kind(length)
          const header = npyHeader(array)
          expect(header.length % 64).toBe(0)
          expect(read(header, header.length + array.byteLength)).toEqual({
            dtype: dtypeOf(array),
            shape: [length],
            count: length,
            width: array.BYTES_PER_ELEMENT,
            start: header.length,
          })
        },
      ),
    )
  })

  it.each([
    ['()', '<i8', 8, [], 1],
    ['(2,)', '<u8', 16, [2], 2],
    ['(2, 3)', '<f8', 48, [2, 3], 6],
    ['( 2 , 3 , )', '<f4', 24, [2, 3], 6],
    ['()', '|S3', 3, [], 1],
    ['()', '<U3', 12, [], 1],
    ['(0,)', '|b1', 0, [0], 0],
  ] as const)('reads the shape %s of %s', (shape, dtype, bytes, expected, count) => {
    for (const version of [1, 2, 3])
      expect(read(file(shaped(shape, dtype), bytes, version))).toMatchObject({
        dtype,
        shape: expected,
        count,
      })
  })

  it('reads the files of the reference vectors, where they are', () => {
    const folder = `${goldenPath('xmc')}/wordnet-a`
    const bytes = readFileSync(`${folder}/matcher2.indptr.npy`)
    expect(read(bytes)).toMatchObject({ shape: [3000], start: 128 })
  })

  it.each([
    [
      'a shape that would take more than there is',
      file(shaped('(4000000000000000,)')),
      /\(4000000000000000\) of <f4/,
    ],
    ['a shape that overflows', file(shaped('(9999999999999999, 9999999999999999)')), /bytes follow/],
    ['one value too few', file(shaped('(2,)'), 4), /4 bytes follow/],
    ['one value too many', file(shaped('(2,)'), 12), /12 bytes follow/],
    ['a header longer than the file', file(shaped('(2,)')).subarray(0, 40), /its header takes/],
    ['a header of gigabytes', Buffer.from('\x93NUMPY\x02\0\xff\xff\xff\xff{}', 'latin1'), /its header takes/],
    ['a negative length', file(shaped('(-1,)')), /not that of an array/],
    ['a dictionary with code in it', file("{'descr': __import__('os'), }"), /not that of an array/],
    ['objects, which NumPy would unpickle', file(shaped('(1,)', '|O'), 8), /not that of an array|not read/],
    ['other byte orders', file(shaped('(1,)', '>f4'), 4), /type >f4 are not read/],
    [
      'numbers by columns',
      file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 16),
      /by columns/,
    ],
    ['another version', file(shaped('(0,)'), 0, 9), /format 9/],
    ['something else', Buffer.from('not an array at all'), /no \.npy/],
    ['nothing', Buffer.alloc(0), /no \.npy/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(message)
  })

  it('never reads past what there is, whatever the bytes', () => {
    const base = file(shaped('(2,)'), 8)
    fc.assert(
      fc.property(fc.nat(base.length - 1), fc.nat(255), fc.nat(base.length), (at, value, end) => {
        const bytes = Buffer.from(base)
        bytes[at] = value
        try {
          const { start, count, width } = read(bytes.subarray(0, end))
          expect(start + count * width).toBe(end)
        } catch (error) {
          expect((error as Error).message).not.toMatch(/undefined|RangeError/)
        }
      }),
    )
  })
})
