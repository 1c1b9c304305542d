/** Arguments as numbers, refused in words that say what is wanted. */
import { InvalidArgumentError } from 'commander'

/** A whole number above 0. @throws InvalidArgumentError */
export const positive = (text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value <= 0)
    throw new InvalidArgumentError('it must be a whole number above 0')
  return value
}

/** Where a replay begins: an offset in every partition, or `partition:offset`. */
export interface From {
  readonly partition: number | null
  readonly offset: number
}

/** One value more of a repeatable `--from-offset`. @throws InvalidArgumentError */
export const fromOffset = (text: string, before: readonly From[] = []): readonly From[] => {
  const match = /^(?:(\d{1,9}):)?(\d{1,15})$/.exec(text)
  if (match === null) throw new InvalidArgumentError('it must be an offset, or partition:offset')
  const [, partition, offset] = match
  return [
    ...before,
    { partition: partition === undefined ? null : Number(partition), offset: Number(offset) },
  ]
}

/** A whole number. @throws InvalidArgumentError */
export const whole = (text: string): number => {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('it must be a whole number')
  return value
}

/** A number above 0. @throws InvalidArgumentError */
export const above0 = (text: string): number => {
  const value = Number(text)
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('it must be a number above 0')
  return value
}

/** A number that is 0 or above. @throws InvalidArgumentError */
export const from0 = (text: string): number => {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('it must be 0 or a number above it')
  return value
}

/** Whole numbers above 0, separated by commas. @throws InvalidArgumentError */
export const positives = (text: string): number[] => text.split(',').map(positive)
