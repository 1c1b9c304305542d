/** The model store on a real file system: what is put is got back whole, what is damaged is never got, and what fails says where and why. */
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openModelStore } from '../../../infra/models/store.ts'

const ABSENT = '0'.repeat(64)
const bytes = Buffer.from('the state of a policy')
const refusal = (code: string, message?: RegExp) =>
  expect.objectContaining({ code, ...(message && { message: expect.stringMatching(message) }) })

describe('the model store', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('gives back what was put, in a folder that it makes, and names the file by its hash', async () => {
    const directory = join(folder, 'deep', 'models')
    const store = await openModelStore(directory)
    expect(await store.get(ABSENT)).toBeNull()
    expect(await store.list()).toEqual([])
    const { uri, sha256 } = await store.put(bytes)
    expect(sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(await store.get(sha256)).toEqual(bytes)
    expect(await readFile(fileURLToPath(uri))).toEqual(bytes)
    expect(await readdir(directory)).toEqual([sha256])
  })

  it('keeps equal bytes once, whoever puts them, and any number of processes share the folder', async () => {
    const stores = await Promise.all([1, 2, 3].map(() => openModelStore(folder)))
    const puts = await Promise.all(stores.flatMap((store) => [store.put(bytes), store.put(bytes)]))
    expect(new Set(puts.map(({ sha256 }) => sha256)).size).toBe(1)
    expect(await stores[0]!.list()).toEqual([puts[0]!.sha256])
    expect(await readdir(folder)).toHaveLength(1)
  })

  it('removes and lists', async () => {
    const store = await openModelStore(folder)
    const [one, other] = [await store.put(bytes), await store.put(Buffer.from('another'))]
    expect(await store.list()).toEqual([one!.sha256, other!.sha256].sort())
    expect(await store.remove(one!.sha256)).toBe(true)
    expect(await store.remove(one!.sha256)).toBe(false)
    expect(await store.list()).toEqual([other!.sha256])
    expect(await store.get(one!.sha256)).toBeNull()
  })

  it('never gives bytes that are not those of the name, and mends them when they are put again', async () => {
    const store = await openModelStore(folder)
    await fc.assert(
      fc.asyncProperty(fc.nat(8 * bytes.length - 1), fc.boolean(), async (bit, cut) => {
        const { sha256 } = await store.put(bytes)
        const path = join(folder, sha256)
        if (cut) await truncate(path, bit >> 3)
        else {
          const damaged = Buffer.from(bytes)
          damaged[bit >> 3]! ^= 1 << (bit & 7)
          await writeFile(path, damaged)
        }
        await expect(store.get(sha256)).rejects.toEqual(refusal('SNAPSHOT_CORRUPT'))
        await store.put(bytes)
        expect(await store.get(sha256)).toEqual(bytes)
      }),
      { numRuns: 40 },
    )
  })

  it('takes nothing but a hash for a name', async () => {
    const store = await openModelStore(join(folder, 'models'))
    await writeFile(join(folder, 'secret'), 'x')
    await expect(store.get('../secret')).rejects.toEqual(refusal('SNAPSHOT_CORRUPT'))
    expect(await store.remove('../secret')).toBe(false)
    expect(await readdir(folder)).toEqual(['secret'])
  })

  it('says STORE_UNAVAILABLE with path and errno, leaves nothing behind, and works again afterwards', async () => {
    const directory = join(folder, 'models')
    await writeFile(directory, 'a file in its place')
    const store = await openModelStore(directory)
    const away = refusal('STORE_UNAVAILABLE', /models.*(EEXIST|ENOTDIR)/)
    await expect(store.put(bytes)).rejects.toEqual(away)
    await expect(store.get(ABSENT)).rejects.toEqual(away)
    await expect(store.list()).rejects.toEqual(away)
    await expect(store.remove(ABSENT)).rejects.toEqual(away)
    await rm(directory)
    const { sha256 } = await store.put(bytes)
    expect(await store.get(sha256)).toEqual(bytes)
    // What cannot take its name leaves no temporary file.
    const blocked = join(
      directory,
      (await openModelStore(join(folder, 'other')).then((s) => s.put(Buffer.from('b')))).sha256,
    )
    await mkdir(blocked)
    await expect(store.put(Buffer.from('b'))).rejects.toEqual(refusal('STORE_UNAVAILABLE', /EISDIR/))
    expect((await readdir(directory)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('removes what dead processes left half written, once it is old', async () => {
    const temporary = (name: string) => join(folder, `.${ABSENT}.${name}.tmp`)
    const long = new Date(Date.now() - 2 * 3_600_000)
    for (const name of ['aa', 'bb']) await writeFile(temporary(name), 'half')
    await utimes(temporary('aa'), long, long)
    await writeFile(join(folder, 'notes.txt'), 'of someone else')
    await utimes(join(folder, 'notes.txt'), long, long)
    const store = await openModelStore(folder)
    expect((await readdir(folder)).sort()).toEqual([`.${ABSENT}.bb.tmp`, 'notes.txt'])
    expect(await store.list()).toEqual([])
  })
})
