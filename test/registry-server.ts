/**
 * A real schema registry for tests: Apicurio with its Confluent-compatible interface, in memory, on loopback. Maven fetches it once
 * (142 MB) into a cache outside node_modules; it starts in about 5 s and ends with this process, however that ends.
 */
import { execFile, spawn } from 'node:child_process'
import { access, mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const VERSION = '2.6.13.Final'
const ARTIFACT = `io.apicurio:apicurio-registry-app:${VERSION}:zip:all`
const RUNNER = `apicurio-registry-app-${VERSION}-runner.jar`
const run = promisify(execFile)

const cacheFolder = () =>
  join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'millrace', 'apicurio-2.6.13')

const succeeds = (promise: Promise<unknown>) =>
  promise.then(
    () => true,
    () => false,
  )

const installed = () => succeeds(access(join(cacheFolder(), RUNNER)))

/** What a registry needs and this machine lacks; '' where nothing. Fetches nothing. */
export const missingForRegistry = async (): Promise<string> => {
  const java = await succeeds(run('java', ['-version']))
  const jars = (await installed()) || (await succeeds(run('mvn', ['-version'])))
  return [java ? '' : 'Java', jars ? '' : 'Maven'].filter(Boolean).join(' and ')
}

/** Unpacked beside its place and renamed into it, so that a cut-off download leaves no half of an installation. */
const install = async (): Promise<void> => {
  if (await installed()) return
  await mkdir(join(cacheFolder(), '..'), { recursive: true })
  const folder = await mkdtemp(`${cacheFolder()}-`)
  try {
    await run(
      'mvn',
      ['-B', '-q', '-ntp', 'dependency:copy', `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${folder}`],
      {
        cwd: folder,
      },
    )
    const archive = join(folder, `apicurio-registry-app-${VERSION}-all.zip`)
    const unpackers = [
      ['jar', 'xf', archive],
      ['unzip', '-q', archive],
      ['python3', '-m', 'zipfile', '-e', archive, folder],
    ] as const
    let unpacked = false
    for (const [command, ...parameters] of unpackers) {
      unpacked ||= await succeeds(run(command, parameters, { cwd: folder }))
    }
    if (!unpacked) throw new Error('neither jar nor unzip nor python3 could unpack the registry')
    await rm(archive)
    await rm(cacheFolder(), { recursive: true, force: true })
    await rename(folder, cacheFolder())
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

export interface RegistryServer {
  /** Address of the Confluent-compatible interface. */
  readonly url: string
  stop(): Promise<void>
}

/** Starts a registry on a free loopback port. @throws Error where it has not answered within 90 s. */
export const startRegistryServer = async (): Promise<RegistryServer> => {
  await install()
  const folder = await mkdtemp(join(tmpdir(), 'millrace-registry-'))
  const port = await freePort()
  const output = await open(join(folder, 'registry.log'), 'a')
  const java = [
    'java',
    '-Xmx300m',
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-Dquarkus.http.host=127.0.0.1',
    `-Dquarkus.http.port=${port}`,
    '-jar',
    join(cacheFolder(), RUNNER),
  ]
  // The shell waits on a pipe that only this process holds open, and takes the registry with it.
  const shell = spawn('sh', ['-c', '"$@" & cat; kill $!; wait $!', 'sh', ...java], {
    cwd: folder,
    stdio: ['pipe', output.fd, output.fd],
    detached: true,
  })
  const ended = new Promise<void>((resolve) => shell.once('exit', () => resolve()))
  await output.close()
  const stop = async () => {
    shell.stdin!.end()
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  const deadline = Date.now() + 90_000
  for (;;) {
    const answer = await fetch(`${url}/subjects`).catch(() => undefined)
    if (answer?.ok) return { url, stop }
    if (Date.now() > deadline) {
      const said = (await readFile(join(folder, 'registry.log'), 'utf8')).slice(-2000)
      await stop()
      throw new Error(`the schema registry did not answer: ${said}`)
    }
    await sleep(200)
  }
}
