/** Models as folders, on a real file system: bit for bit or not at all, and what is damaged, missing or of another version is refused by name. */
import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FolderContents } from '../../../infra/models/folder-manifest.ts'
import { openModelFolder } from '../../../infra/models/model-folder.ts'
import { openModelStore } from '../../../infra/models/store.ts'
import { writeModelFolder } from '../../../infra/models/write-folder.ts'

const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

const contents: FolderContents = {
  format: 'a-model',
  version: 1,
  parameters: { beam: 10, labels: ['a', 'ü'] },
  files: {
    'labels.json': Buffer.from('["a","ü"]'),
    'weights.npy': Float32Array.of(1, -0, Number.MIN_VALUE, 3.25),
    'parents.npy': Int32Array.of(0, 0, -(2 ** 31)),
    'none.npy': new Float64Array(0),
  },
}

describe('a model folder', () => {
  let folder = ''
  let path = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-folder-'))
    path = join(folder, 'model')
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const open = async (sha256?: string) => (await openModelFolder(path, sha256))!

  it('gives back bytes, arrays and parameters, bit for bit, and hides nothing of them', async () => {
    const { sha256 } = await writeModelFolder(path, contents, { replace: false })
    const model = await open(sha256)
    expect(model).toMatchObject({ format: 'a-model', version: 1, parameters: contents.parameters, sha256 })
    expect(model.names).toEqual(Object.keys(contents.files))
    expect(await model.read('labels.json')).toEqual(contents.files['labels.json'])
    const weights = await model.array('weights.npy', Float32Array)
    expect(new Uint8Array(weights.buffer)).toEqual(
      new Uint8Array((contents.files['weights.npy'] as Float32Array).buffer),
    )
    expect(await model.array('parents.npy', Int32Array)).toEqual(contents.files['parents.npy'])
    expect(await model.array('none.npy', Float64Array)).toEqual(new Float64Array(0))
    await model.verify()
    const manifest = await readFile(join(path, 'model.json'))
    expect(createHash('sha256').update(manifest).digest('hex')).toBe(sha256)
    expect(JSON.parse(manifest.toString()).files['weights.npy']).toMatchObject({ dtype: '<f4', shape: [4] })
    expect((await readdir(folder)).sort()).toEqual(['model'])
  })

  it('keeps arrays of any length, in shared memory and as part of a larger one too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.float({ noNaN: true }), { maxLength: 40 }), async (numbers) => {
        const shared = new Float32Array(new SharedArrayBuffer(4 * numbers.length + 8), 4, numbers.length)
        shared.set(numbers)
        await writeModelFolder(path, { ...contents, files: { 'a.npy': shared } }, { replace: true })
        expect(await (await open()).array('a.npy', Float32Array)).toEqual(Float32Array.from(numbers))
      }),
      { numRuns: 20 },
    )
  })

  it('keeps what takes more than one piece to read', async () => {
    const large = Int32Array.from({ length: 3_000_001 }, (_, i) => i * 7)
    await writeModelFolder(path, { ...contents, files: { 'a.npy': large } }, { replace: false })
    const model = await open()
    await model.verify()
    expect(
      Buffer.compare(
        new Uint8Array((await model.array('a.npy', Int32Array)).buffer),
        new Uint8Array(large.buffer),
      ),
    ).toBe(0)
  })

  it('is null where there is no folder', async () => {
    expect(await openModelFolder(path)).toBeNull()
  })

  it('replaces a model only where it may, and nothing else ever', async () => {
    await writeModelFolder(path, contents, { replace: false })
    await expect(writeModelFolder(path, contents, { replace: false })).rejects.toEqual(
      refusal('INVALID_CONFIG', /is there already, a model/),
    )
    await writeModelFolder(path, { ...contents, version: 2 }, { replace: true })
    expect((await open()).version).toBe(2)
    expect(await readdir(folder)).toEqual(['model'])
    const mine = join(folder, 'mine')
    await mkdir(mine)
    await writeFile(join(mine, 'thesis.txt'), 'years of work')
    await expect(writeModelFolder(mine, contents, { replace: true })).rejects.toEqual(
      refusal('INVALID_CONFIG', /mine is there already$/),
    )
    expect(await readdir(mine)).toEqual(['thesis.txt'])
    await expect(writeModelFolder(join(mine, 'thesis.txt'), contents, { replace: true })).rejects.toEqual(
      refusal('STORE_UNAVAILABLE', /thesis\.txt.*ENOTDIR/),
    )
  })

  it('leaves nothing behind where it cannot be written', async () => {
    await writeFile(join(folder, 'file'), '')
    await expect(
      writeModelFolder(join(folder, 'file', 'model'), contents, { replace: false }),
    ).rejects.toEqual(refusal('STORE_UNAVAILABLE', /ENOTDIR/))
    for (const name of ['../out.npy', 'model.json', 'a/b.npy', '.hidden', 'weights.bin'])
      await expect(
        writeModelFolder(path, { ...contents, files: { [name]: Float32Array.of(1) } }, { replace: false }),
      ).rejects.toThrow('cannot be named')
    expect(await readdir(folder)).toEqual(['file'])
  })

  it('never gives a file of which one bit is flipped, or which is cut or longer', async () => {
    const { sha256 } = await writeModelFolder(path, contents, { replace: false })
    const sound = join(folder, 'sound')
    await cp(path, sound, { recursive: true })
    const read = {
      'model.json': () => open(sha256),
      'labels.json': async () => (await open()).read('labels.json'),
      'weights.npy': async () => (await open()).array('weights.npy', Float32Array),
      'parents.npy': async () => (await open()).array('parents.npy', Int32Array),
    }
    const names = Object.keys(read) as (keyof typeof read)[]
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.nat(),
        fc.constantFrom('flip', 'cut', 'grow'),
        async (name, at, how) => {
          const bytes = await readFile(join(sound, name))
          const bit = at % (8 * bytes.length)
          if (how === 'flip') bytes[bit >> 3]! ^= 1 << (bit & 7)
          await writeFile(
            join(path, name),
            how === 'cut'
              ? bytes.subarray(0, bit >> 3)
              : how === 'grow'
                ? Buffer.concat([bytes, bytes])
                : bytes,
          )
          await expect(read[name]()).rejects.toEqual(refusal('SNAPSHOT_CORRUPT', /model folder /))
          await expect(open(sha256).then((model) => model.verify())).rejects.toEqual(
            refusal('SNAPSHOT_CORRUPT', /model folder /),
          )
          await writeFile(join(path, name), await readFile(join(sound, name)))
        },
      ),
      { numRuns: 60 },
    )
    await (await open(sha256)).verify()
  })

  it('names the file that is missing, or that nobody knows', async () => {
    await writeModelFolder(path, contents, { replace: false })
    await rm(join(path, 'parents.npy'))
    const model = await open()
    await expect(model.array('parents.npy', Int32Array)).rejects.toEqual(
      refusal('SNAPSHOT_CORRUPT', /parents\.npy is missing/),
    )
    await expect(model.verify()).rejects.toEqual(refusal('SNAPSHOT_CORRUPT', /parents\.npy is missing/))
    await expect(model.read('other.json')).rejects.toEqual(
      refusal('SNAPSHOT_CORRUPT', /names no other\.json/),
    )
    await rm(join(path, 'model.json'))
    await expect(open()).rejects.toEqual(refusal('SNAPSHOT_CORRUPT', /there is no model\.json/))
  })

  it('refuses an array of another type than was asked for', async () => {
    await writeModelFolder(path, contents, { replace: false })
    await expect((await open()).array('parents.npy', Float32Array)).rejects.toEqual(
      refusal('SNAPSHOT_CORRUPT', /parents\.npy: \(3\) of <i4 where a row of <f4 is expected/),
    )
  })

  it('refuses another format, and versions that it does not read', async () => {
    await writeModelFolder(path, { ...contents, version: 3 }, { replace: false })
    const model = await open()
    expect(() => model.expect({ format: 'another', versions: [3] })).toThrow(
      refusal('SNAPSHOT_MISMATCH', /format "a-model", not another/),
    )
    expect(() => model.expect({ format: 'a-model', versions: [1, 2] })).toThrow(
      refusal('SNAPSHOT_MISMATCH', /version 3 of a-model; 1, 2 is read/),
    )
    expect(model.expect({ format: 'a-model', versions: [3] })).toBe(model)
  })

  it.each([
    ['no JSON', '{', /is not JSON/],
    ['nothing', '', /is not JSON/],
    ['null', 'null', /does not say format/],
    ['no files', '{"format":"a","version":1}', /does not say format/],
    [
      'a file outside',
      '{"format":"a","version":1,"files":{"../../etc/passwd":{"bytes":1,"sha256":"00"}}}',
      /nothing sound/,
    ],
    ['a file without a hash', '{"format":"a","version":1,"files":{"a.npy":{"bytes":1}}}', /nothing sound/],
    ['a file of nothing', '{"format":"a","version":1,"files":{"a.npy":null}}', /nothing sound/],
    [
      'a file that takes back bytes',
      `{"format":"a","version":1,"files":{"a.npy":{"bytes":-1,"sha256":"${'0'.repeat(64)}"}}}`,
      /nothing sound/,
    ],
  ])('refuses a model.json of %s', async (_, text, message) => {
    await mkdir(path)
    await writeFile(join(path, 'model.json'), text)
    await expect(open()).rejects.toEqual(refusal('SNAPSHOT_CORRUPT', message))
  })

  it('allocates nothing for the size that a file only claims', async () => {
    await writeModelFolder(path, contents, { replace: false })
    const manifest = JSON.parse(await readFile(join(path, 'model.json'), 'utf8'))
    manifest.files['weights.npy'].bytes = 2 ** 50
    await writeFile(join(path, 'model.json'), JSON.stringify(manifest))
    await expect((await open()).array('weights.npy', Float32Array)).rejects.toEqual(
      refusal('SNAPSHOT_CORRUPT', /has 144 bytes, not 1125899906842624/),
    )
  })
})

describe('folders in the model store', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('lie beside files under the hash of their model.json, equal ones once', async () => {
    const stores = await Promise.all([1, 2, 3].map(() => openModelStore(join(folder, 'models'))))
    const [store] = stores as [(typeof stores)[0]]
    const puts = await Promise.all(
      stores.flatMap((each) => [each.putFolder(contents), each.putFolder(contents)]),
    )
    expect(new Set(puts.map(({ uri }) => uri)).size).toBe(1)
    const { uri, sha256 } = puts[0]!
    expect((await stat(fileURLToPath(uri))).isDirectory()).toBe(true)
    expect(await readdir(store.directory)).toEqual([`${sha256}.model`])
    expect(await (await store.getFolder(sha256))!.array('weights.npy', Float32Array)).toEqual(
      contents.files['weights.npy'],
    )
    const other = await store.putFolder({ ...contents, version: 2 })
    const file = await store.put(Buffer.from('a snapshot'))
    expect(await store.listFolders()).toEqual([sha256, other.sha256].sort())
    expect(await store.list()).toEqual([file.sha256])
    expect(await store.removeFolder(sha256)).toBe(true)
    expect(await store.removeFolder(sha256)).toBe(false)
    expect(await store.getFolder(sha256)).toBeNull()
    expect((await readdir(store.directory)).sort()).toEqual([file.sha256, `${other.sha256}.model`].sort())
  })

  it('are mended when they are put again', async () => {
    const store = await openModelStore(folder)
    const { uri, sha256 } = await store.putFolder(contents)
    for (const name of ['weights.npy', 'labels.json', 'model.json']) {
      await writeFile(join(fileURLToPath(uri), name), 'damaged')
      await store.putFolder(contents)
      await (await store.getFolder(sha256))!.verify()
    }
    expect(await readdir(folder)).toEqual([`${sha256}.model`])
  })

  it('take nothing but a hash for a name', async () => {
    const store = await openModelStore(folder)
    await expect(store.getFolder('../secret')).rejects.toEqual(refusal('SNAPSHOT_CORRUPT', /no SHA-256/))
    expect(await store.removeFolder('../secret')).toBe(false)
    expect(await store.listFolders()).toEqual([])
  })

  it('that dead processes left half written are removed once they are old', async () => {
    const names = [
      `.folder.${'a'.repeat(16)}.tmp`,
      `.${'0'.repeat(64)}.model.${'b'.repeat(16)}.tmp`,
      `.folder.${'c'.repeat(16)}.tmp`,
    ]
    const long = new Date(Date.now() - 4_000_000)
    for (const [at, name] of names.entries()) {
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, 'weights.npy'), '')
      if (at < 2) await utimes(join(folder, name), long, long)
    }
    await openModelStore(folder)
    expect(await readdir(folder)).toEqual([names[2]])
  })
})
