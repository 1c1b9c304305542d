/**
 * Fetches Apache Kafka with Maven into a cache outside node_modules, once. The jars are copied into a temporary folder and renamed
 * into place, so that a cut-off download or two processes at once leave no half of an installation. The folder's name
 * carries the version and the broker's own jar must be there, else it is fetched anew. Takes about 10 s and 43 MB the first time.
 */
import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MillraceError } from '../../../schemas/errors.ts'

const run = promisify(execFile)

export const KAFKA_VERSION = '4.4.0'

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId><artifactId>local-kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version></dependency>
  </dependencies>
</project>
`

const JAVA_HINT = `Install Java 17 or later and Maven, or pass a running cluster with --kafka host:port.`

const cacheFolder = () =>
  join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'millrace', `kafka-${KAFKA_VERSION}`)

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

const installed = (folder: string) => exists(join(folder, 'lib', `kafka_2.13-${KAFKA_VERSION}.jar`))

const works = (command: string, argument: string) =>
  run(command, [argument]).then(
    () => true,
    () => false,
  )

/** Whether a local Kafka can be started here; `missing` names what is not there. Never throws, fetches nothing. */
export const localKafkaAvailable = async (): Promise<{ ok: true } | { ok: false; missing: string }> => {
  const java = await works('java', '-version')
  const jars = (await installed(cacheFolder())) || (await works('mvn', '-version'))
  const missing = [java ? '' : 'Java', jars ? '' : 'Maven'].filter(Boolean).join(' and ')
  return missing ? { ok: false, missing } : { ok: true }
}

/**
 * The class path of Apache Kafka, fetched where it is not in the cache.
 * @throws MillraceError JAVA_MISSING when Java or Maven is missing, or Maven cannot fetch.
 */
export const installKafka = async (onProgress: (message: string) => void): Promise<string> => {
  const available = await localKafkaAvailable()
  if (!available.ok) throw new MillraceError('JAVA_MISSING', `${available.missing} not found. ${JAVA_HINT}`)
  const folder = cacheFolder()
  if (!(await installed(folder))) {
    onProgress(`fetching Apache Kafka ${KAFKA_VERSION} (43 MB, once)`)
    await mkdir(join(folder, '..'), { recursive: true })
    const work = await mkdtemp(`${folder}-`)
    try {
      await writeFile(join(work, 'pom.xml'), POM)
      const goal = ['dependency:copy-dependencies', '-DoutputDirectory=lib', '-DincludeScope=runtime']
      await run('mvn', ['-B', '-q', '-ntp', ...goal], { cwd: work, maxBuffer: 1 << 26 })
      if (!(await installed(work))) throw new Error(`kafka_2.13-${KAFKA_VERSION}.jar was not delivered`)
      if (!(await installed(folder))) await rm(folder, { recursive: true, force: true })
      // Another process may have been first: its installation is as good.
      await rename(work, folder).catch(async (error: unknown) => {
        if (!(await installed(folder))) throw error
      })
    } catch (cause) {
      const { message } = cause as Error
      throw new MillraceError('JAVA_MISSING', `Maven could not fetch Apache Kafka: ${message} ${JAVA_HINT}`, {
        cause,
      })
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
  return join(folder, 'lib', '*')
}
