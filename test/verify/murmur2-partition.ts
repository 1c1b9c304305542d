/** Kafka's partitioning: the hash of each key's bytes and its partition for every number of partitions in the index. */
import { murmur2, partitionOf } from '../../infra/kafka/partitioner.ts'
import { type CaseKind, isFiniteNumber, isRecord } from './case.ts'

export const verifyPartitioner: CaseKind = ({ files, config }, comparison) => {
  const vectors = files.find(Array.isArray)
  if (vectors === undefined || vectors.length === 0) throw new Error('no list of keys')
  const counts = config['partitions']
  if (!Array.isArray(counts) || counts.length === 0 || !counts.every(isFiniteNumber)) {
    throw new Error("'partitions' is not a list of numbers")
  }
  const keys = vectors.map((vector: unknown, i) => {
    if (!isRecord(vector) || typeof vector['hex'] !== 'string' || !/^([0-9a-f]{2})*$/i.test(vector['hex'])) {
      throw new Error(`key ${i} has no bytes`)
    }
    const bytes = Buffer.from(vector['hex'], 'hex')
    if (vector['encoding'] === 'utf8' && !bytes.equals(Buffer.from(String(vector['key'])))) {
      throw new Error(`key ${i}: its text and its bytes differ`)
    }
    return { bytes, vector }
  })
  comparison.numbers(
    'murmur2',
    keys.map(({ bytes }) => murmur2(bytes)),
    keys.map(({ vector }) => vector['murmur2']),
  )
  for (const count of counts) {
    comparison.numbers(
      'partition',
      keys.map(({ bytes }) => partitionOf(bytes, count)),
      keys.map(({ vector }) => (isRecord(vector['partition']) ? vector['partition'][count] : undefined)),
      `of ${count}`,
    )
  }
}
