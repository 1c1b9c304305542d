/** Snapshots that are damaged between two lives of a worker: it says so, starts from one before, and never from garbage. */
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { crc32 } from '../../operators/numerics/crc32.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import type { Snapshot } from '../../schemas/generated/events.ts'
import { decoded } from './events.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import type { Worker } from './worker.ts'
import { encoded } from './world.ts'

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const fileOf = (stage: Stage, sha256: string): string => join(stage.evidence.models, sha256)

/** What lies in the slots now, the newest first. */
const slotsNow = (stage: Stage): Snapshot[] => {
  const slots = new Map<string, Snapshot>()
  for (const { key, value } of stage.log.records(`${stage.prefix}snapshots`))
    slots.set(key, decoded('snapshot', value!))
  return [...slots.values()].sort((a, b) => b.offset - a.offset)
}

/** Puts another record into a snapshot's slot, as another build of millrace would have. The oracle passes over it. */
const rewrite = async (stage: Stage, snapshot: Snapshot): Promise<void> => {
  const producer = stage.client.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  const key = KEYS.snapshot(snapshot)
  const headers = { expect: 'SNAPSHOT_MISMATCH' }
  const messages = [{ key, value: encoded('snapshot', snapshot), headers }]
  await producer.send({ topic: `${stage.prefix}snapshots`, messages })
  await producer.disconnect()
}

interface Damage {
  readonly how: string
  /** Under which a start passes over it. */
  readonly code: 'SNAPSHOT_CORRUPT' | 'SNAPSHOT_MISMATCH'
  /** @returns the record in the snapshot's slot, where that is another now */
  readonly inflict: (stage: Stage, snapshot: Snapshot) => Promise<Snapshot | undefined>
}

const toFile = (how: string, inflict: (file: string, stage: Stage, snapshot: Snapshot) => void): Damage => ({
  how,
  code: 'SNAPSHOT_CORRUPT',
  inflict: async (stage, snapshot) => {
    inflict(fileOf(stage, snapshot.sha256), stage, snapshot)
    return undefined
  },
})

const truncated = toFile('truncated', (file) => truncateSync(file, readFileSync(file).length - 8))
const empty = toFile('empty', (file) => truncateSync(file, 0))
const missing = toFile('missing', (file) => rmSync(file))
const flipped = toFile('one bit flipped', (file) => {
  const bytes = readFileSync(file)
  // In the last number of the state.
  const at = bytes.length - 6
  bytes[at] = bytes[at]! ^ 1
  writeFileSync(file, bytes)
})
/** A whole and valid state, of another moment. */
const exchanged = toFile('another snapshot in its place', (file, stage, { offset }) => {
  const other = slotsNow(stage).find((each) => each.offset < offset)
  copyFileSync(fileOf(stage, other!.sha256), file)
})
const otherKernel: Damage = {
  how: 'of another kernel',
  code: 'SNAPSHOT_MISMATCH',
  inflict: async (stage, snapshot) => {
    const other = { ...snapshot, kernel: `${snapshot.kernel}-next` }
    await rewrite(stage, other)
    return other
  },
}
/** The record is as this build writes it, and the bytes are whole: only they themselves say that their version is another. */
const otherVersion: Damage = {
  how: 'bytes of another version',
  code: 'SNAPSHOT_MISMATCH',
  inflict: async (stage, snapshot) => {
    const bytes = readFileSync(fileOf(stage, snapshot.sha256))
    bytes.writeUInt16LE(bytes.readUInt16LE(4) + 1, 4)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4)
    const other = { ...snapshot, sha256: hashOf(bytes), crc32: crc32(bytes) }
    writeFileSync(fileOf(stage, other.sha256), bytes)
    await rewrite(stage, other)
    return other
  },
}

/** Before each life, so many whole snapshots are damaged, the newest first; before the last, every one. */
const LIVES: readonly (readonly Damage[])[] = [
  ...either([], [[truncated], [flipped], [missing], [empty], [exchanged], [otherKernel], [otherVersion]]),
  [exchanged, otherKernel],
  [flipped, otherVersion],
  [missing, truncated, empty, flipped],
]

/** Records a second: while snapshots shall come, and while the worker is away. */
const QUICK = either(200, 600)
const SLOW = 40

/** What the worker has said in its present life of the snapshots that it looked at. */
const told = (worker: Worker, msg: RegExp, field: string): unknown[][] =>
  worker.present.filter((line) => msg.test(line.msg)).map((line) => [line['snapshot'], line[field]])

row(
  21,
  'damaged snapshots: cut, flipped, missing, of another version',
  { recording: false, windowMs: 100, graceMs: 25, config: { snapshots: { every: either(30, 250) } } },
  async (stage) => {
    const [worker] = await stage.started()
    stage.flow(QUICK)
    /** By hash, the codes of those that no start can use. */
    const damaged = new Map<string, string>()
    const whole = () => slotsNow(stage).filter(({ sha256 }) => !damaged.has(sha256))
    let rewritten = 0
    const allRead = () => {
      const taken = worker!.lines.filter(({ msg }) => /^snapshot taken/.test(msg)).length
      return stage.until(
        'all records of snapshots are read',
        () => stage.count('snapshots') >= taken + rewritten,
      )
    }
    for (const damages of LIVES) {
      stage.pace(QUICK)
      await stage.until('snapshots to be damaged', () => whole().length > Math.min(2, damages.length))
      stage.pace(SLOW)
      await worker!.stop()
      await allRead()
      const chosen = whole().slice(0, damages.length)
      for (const [i, snapshot] of chosen.entries()) {
        const { code, inflict } = damages[i]!
        const other = await inflict(stage, snapshot)
        if (other !== undefined) rewritten++
        damaged.set((other ?? snapshot).sha256, code)
      }
      await allRead()
      const slots = slotsNow(stage)
      const since = stage.fault(damages.map(({ how }) => how).join(', '))
      worker!.start()
      await stage.recovered(since)
      const good = slots.findIndex(({ sha256 }) => !damaged.has(sha256))
      const bad = good < 0 ? slots : slots.slice(0, good)
      expect(told(worker!, /^a snapshot was passed over/, 'code')).toEqual(
        bad.map((snapshot) => [KEYS.snapshot(snapshot), damaged.get(snapshot.sha256)]),
      )
      expect(told(worker!, /^state restored from a snapshot/, 'offset')).toEqual(
        good < 0 ? [] : [[KEYS.snapshot(slots[good]!), slots[good]!.offset]],
      )
    }
    stage.pace(QUICK)
    await stage.until(
      'all that was damaged is written over and gone',
      () => [...damaged.keys()].every((sha256) => !existsSync(fileOf(stage, sha256))) && whole().length === 4,
    )
  },
  (stage) => {
    // Every record that a worker ever wrote names the bytes of a clean fold up to its offset, and what lies in the slots is that.
    const { log, prefix } = stage
    const definitions = log
      .records(`${prefix}policies`)
      .map(({ value }) => decoded('policy-definition', value!))
    const outcomes = log
      .records(`${prefix}outcomes`)
      .filter(({ value }) => value !== null)
      .sort((a, b) => a.offset - b.offset)
    const snapshots = log
      .records(`${prefix}snapshots`)
      .filter(({ headers, value }) => value !== null && headers['expect'] === undefined)
      .map(({ value }) => decoded('snapshot', value!))
      .sort((a, b) => a.offset - b.offset)
    const clean = new PolicyTable(definitions)
    let next = 0
    for (const { policy, offset, sha256 } of snapshots) {
      for (; next < outcomes.length && outcomes[next]!.offset < offset; next++)
        clean.learn(decoded('outcome', outcomes[next]!.value!), outcomes[next]!.offset)
      expect([offset, sha256]).toEqual([offset, hashOf(clean.save(policy).bytes)])
    }
    for (const { sha256 } of slotsNow(stage)) expect(hashOf(readFileSync(fileOf(stage, sha256)))).toBe(sha256)
  },
)
