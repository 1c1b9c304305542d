import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteArena } from '../../../operators/streams/byte-arena.ts'

const anyMessage = fc.uint8Array({ maxLength: 90 })

test('it gives back what it was given, whatever else comes and goes', () => {
  const steps = fc.array(fc.oneof(anyMessage, fc.nat()), { maxLength: 200 })
  fc.assert(
    fc.property(steps, (story) => {
      const arena = new ByteArena(64)
      const held: { handle: number; message: Uint8Array }[] = []
      for (const step of story) {
        if (typeof step !== 'number') held.push({ handle: arena.hold(step), message: step })
        else if (held.length > 0) arena.free(held.splice(step % held.length, 1)[0]!.handle)
        for (const { handle, message } of held) expect(arena.at(handle)).toEqual(message)
      }
    }),
  )
})

test('what comes and goes in order takes no more memory than what is held', () => {
  const arena = new ByteArena(1_024)
  const handles: number[] = []
  for (let i = 0; i < 10_000; i++) {
    handles.push(arena.hold(new Uint8Array(100)))
    if (handles.length > 50) arena.free(handles.shift()!)
  }
  expect(arena.size).toBeLessThan(16 * 1_024)
})

test('a message that is let go at once takes no place', () => {
  const arena = new ByteArena(1_024)
  arena.hold(new Uint8Array(10))
  for (let i = 0; i < 10_000; i++) arena.free(arena.hold(new Uint8Array(500)))
  expect(arena.size).toBe(1_024)
})

test('a message larger than a slab is held too, and its memory is given back', () => {
  const arena = new ByteArena(64)
  const message = new Uint8Array(1_000).fill(7)
  const handle = arena.hold(message)
  expect(arena.at(handle)).toEqual(message)
  const next = arena.hold(new Uint8Array(10))
  arena.free(handle)
  expect(arena.size).toBeLessThan(1_000)
  expect(arena.at(next)).toEqual(new Uint8Array(10))
})
