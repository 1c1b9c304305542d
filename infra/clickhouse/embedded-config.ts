/**
 * The configuration of the embedded server, sized for a laptop, and its three users:
 * - `default` is the engine's own: it must exist without a password, and may read files, since the query that keeps the server alive
 *   does. It may hold one session, and that query holds it, so nobody can log in as `default` over HTTP.
 * - `millrace` (random password) owns the database and those whose names begin like it (replays, backfills), and nothing else.
 * - `dashboard` (random password) may SELECT from it: no file(), no url(), no settings beyond its limits.
 */
import { createHash } from 'node:crypto'

export interface EmbeddedConfig {
  readonly database: string
  readonly dataDir: string
  readonly usersFile: string
  /** Passwords of the two users; only their SHA-256 is written. */
  readonly passwords: { readonly millrace: string; readonly dashboard: string }
}

const xml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The server's own file: memory, caches, pools, logs. Pools of 2 need the merge thresholds below, or no table loads. */
export const serverXml = ({ dataDir, usersFile }: EmbeddedConfig): string => `<clickhouse>
  <user_directories><users_xml><path>${xml(usersFile)}</path></users_xml></user_directories>
  <logger>
    <log>${xml(dataDir)}/server.log</log>
    <errorlog>${xml(dataDir)}/server.err.log</errorlog>
    <size>10M</size>
    <count>1</count>
  </logger>
  <max_server_memory_usage>1500000000</max_server_memory_usage>
  <mark_cache_size>33554432</mark_cache_size>
  <index_mark_cache_size>8388608</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_uncompressed_cache_size>0</index_uncompressed_cache_size>
  <mmap_cache_size>16</mmap_cache_size>
  <compiled_expression_cache_size>8388608</compiled_expression_cache_size>
  <max_concurrent_queries>64</max_concurrent_queries>
  <max_thread_pool_size>200</max_thread_pool_size>
  <background_pool_size>2</background_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <merge_tree>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
</clickhouse>
`

/** Users, profiles and grants. The dashboard may change settings (Grafana does), but not those that bound it. */
export const usersXml = ({ database, passwords }: EmbeddedConfig): string => `<clickhouse>
  <profiles>
    <default><max_memory_usage>1000000000</max_memory_usage><max_threads>2</max_threads></default>
    <starter>
      <max_sessions_for_user>1</max_sessions_for_user>
      <constraints><max_sessions_for_user><readonly/></max_sessions_for_user></constraints>
    </starter>
    <dashboard>
      <readonly>2</readonly>
      <max_memory_usage>500000000</max_memory_usage>
      <max_execution_time>30</max_execution_time>
      <max_threads>2</max_threads>
      <constraints>
        <max_memory_usage><max>500000000</max></max_memory_usage>
        <max_execution_time><min>1</min><max>30</max></max_execution_time>
        <max_threads><max>2</max></max_threads>
      </constraints>
    </dashboard>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password></password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>starter</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT CREATE TEMPORARY TABLE ON *.*</query>
        <query>GRANT READ ON FILE</query>
      </grants>
    </default>
    <millrace>
      <password_sha256_hex>${sha256(passwords.millrace)}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT ALL ON ${database}*.*</query>
        <query>GRANT TABLE ENGINE ON *</query>
        <query>GRANT SELECT ON system.*</query>
      </grants>
    </millrace>
    <dashboard>
      <password_sha256_hex>${sha256(passwords.dashboard)}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>dashboard</profile>
      <quota>default</quota>
      <grants><query>GRANT SELECT ON ${database}.*</query></grants>
    </dashboard>
  </users>
</clickhouse>
`
