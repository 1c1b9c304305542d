-- The raw facts: one row an event, columns after the Avro schemas. `topic`, `partition` and `offset` say where the record was read.
-- Every statement may be run again. Filled in by the migration runner: {cluster} (ON CLUSTER … or nothing), {MergeTree} (plain or
-- Replicated), {event_days} and {rollup_days}. The deduplication window makes a block sent twice count once: no table without it.

CREATE TABLE IF NOT EXISTS decisions {cluster}
(
    request_id String CODEC(ZSTD(1)),
    policy LowCardinality(String),
    policy_version Int32,
    policy_hash LowCardinality(String),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    decided_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    arm LowCardinality(String),
    propensity Float64,
    propensity_kind LowCardinality(String),
    arms Array(LowCardinality(String)),
    probabilities Array(Float64) CODEC(ZSTD(1)),
    ranking Array(Int32) CODEC(ZSTD(1)),
    vector Array(Float64) CODEC(ZSTD(1)),
    hyper_parameters Array(Tuple(name LowCardinality(String), value Float64, probability Float64)),
    state_offset Int64 CODEC(Delta, ZSTD(1)),
    request_partition Int32,
    request_offset Int64 CODEC(Delta, ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(Delta, ZSTD(1)),
    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (policy, occurred_at, request_id)
TTL toDateTime(occurred_at) + INTERVAL {event_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS outcomes {cluster}
(
    request_id String CODEC(ZSTD(1)),
    policy LowCardinality(String),
    policy_version Int32,
    policy_hash LowCardinality(String),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    closed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    arm LowCardinality(String),
    propensity Float64,
    propensity_kind LowCardinality(String),
    arms Array(LowCardinality(String)),
    probabilities Array(Float64) CODEC(ZSTD(1)),
    vector Array(Float64) CODEC(ZSTD(1)),
    hyper_parameters Array(Tuple(name LowCardinality(String), value Float64, probability Float64)),
    state_offset Int64 CODEC(Delta, ZSTD(1)),
    request_partition Int32,
    request_offset Int64 CODEC(Delta, ZSTD(1)),
    reward Float64,
    reward_kind LowCardinality(String),
    reward_occurred_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(Delta, ZSTD(1)),
    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (policy, occurred_at, request_id)
TTL toDateTime(occurred_at) + INTERVAL {event_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS rewards {cluster}
(
    request_id String CODEC(ZSTD(1)),
    reward_id String CODEC(ZSTD(1)),
    value Float64,
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(Delta, ZSTD(1)),
    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (topic, occurred_at, request_id)
TTL toDateTime(occurred_at) + INTERVAL {event_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS activations {cluster}
(
    request_id String CODEC(ZSTD(1)),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(Delta, ZSTD(1)),
    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (topic, occurred_at, request_id)
TTL toDateTime(occurred_at) + INTERVAL {event_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS metrics {cluster}
(
    name LowCardinality(String),
    value Float64,
    labels Map(LowCardinality(String), String),
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(at)
ORDER BY (name, at)
TTL toDateTime(at) + INTERVAL {event_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- Here `source_…` is the record that failed, while `topic`, `partition` and `offset` are those of the dead letter itself.
CREATE TABLE IF NOT EXISTS dead_letters {cluster}
(
    source_topic LowCardinality(String),
    source_partition Int32,
    source_offset Int64 CODEC(Delta, ZSTD(1)),
    key Nullable(String) CODEC(ZSTD(1)),
    value Nullable(String) CODEC(ZSTD(3)),
    value_length Int64,
    value_sha256 String,
    truncated Bool,
    schema_id LowCardinality(String),
    stage LowCardinality(String),
    code LowCardinality(String),
    message String CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(at)
ORDER BY (source_topic, code, at)
TTL toDateTime(at) + INTERVAL {event_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;
