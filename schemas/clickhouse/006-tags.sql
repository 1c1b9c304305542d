-- Documents tagged, and the models that tagged them. The topic `models` holds a record a version and one that names the version served (`name/live`),
-- so a version has a row when it is made, and one each time it is served; tombstones of old versions leave no row.

CREATE TABLE IF NOT EXISTS document_labels {cluster}
(
    document_id String CODEC(ZSTD(1)),
    labels Array(Tuple(label String, score Float64)) CODEC(ZSTD(1)),
    model_name LowCardinality(String),
    model_version Int32,
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    tagged_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(Delta, ZSTD(1)),
    INDEX by_document document_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (model_name, occurred_at, document_id)
TTL toDateTime(occurred_at) + INTERVAL {event_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS models {cluster}
(
    name LowCardinality(String),
    version Int32,
    uri String CODEC(ZSTD(1)),
    sha256 String,
    trained_on Array(Tuple(topic LowCardinality(String), partition Int32, from Int64, to Int64)) CODEC(ZSTD(1)),
    metrics Map(LowCardinality(String), Float64) CODEC(ZSTD(1)),
    promoted Bool,
    created_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(created_at)
ORDER BY (topic, name, version, offset)
TTL toDateTime(created_at) + INTERVAL {event_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- `untagged` are the documents that came while no model was served.
CREATE TABLE IF NOT EXISTS tags_per_minute {cluster}
(
    model_name LowCardinality(String),
    model_version Int32,
    minute DateTime('UTC'),
    documents SimpleAggregateFunction(sum, UInt64),
    untagged SimpleAggregateFunction(sum, UInt64),
    labels SimpleAggregateFunction(sum, UInt64),
    best_score_sum SimpleAggregateFunction(sum, Float64)
)
ENGINE = {AggregatingMergeTree}
PARTITION BY toYYYYMM(minute)
ORDER BY (model_name, model_version, minute)
TTL minute + INTERVAL {rollup_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS tags_to_minutes {cluster} TO tags_per_minute AS
SELECT
    model_name,
    model_version,
    toStartOfMinute(tagged_at) AS minute,
    count() AS documents,
    countIf(model_version = 0) AS untagged,
    sum(length(document_labels.labels)) AS labels,
    sum(if(empty(document_labels.labels), 0, document_labels.labels[1].score)) AS best_score_sum
FROM document_labels
GROUP BY model_name, model_version, minute;

-- Documents tagged by each version, minute by minute of the tagging.
CREATE VIEW IF NOT EXISTS tag_minutes {cluster} AS
SELECT
    model_name,
    model_version,
    minute,
    sum(t.documents) AS documents,
    sum(t.untagged) AS untagged,
    sum(t.labels) / sum(t.documents) AS labels_per_document,
    sum(t.best_score_sum) / greatest(1, sum(t.documents) - sum(t.untagged)) AS mean_best_score
FROM tags_per_minute AS t
GROUP BY model_name, model_version, minute
ORDER BY model_name, minute, model_version;

-- Every version, what it measured on its held-out documents, whether it passed the gate, and whether it is served now: the newest row that says promoted.
CREATE VIEW IF NOT EXISTS model_versions {cluster} AS
SELECT
    name,
    version,
    min(m.created_at) AS created_at,
    argMin(m.promoted, m.offset) AS promoted,
    max(m.promoted AND m.offset = newest.served) AS live,
    arraySum(r -> r.to - r.from, any(m.trained_on)) AS documents,
    any(m.metrics) AS metrics,
    any(m.metrics)['precision@1'] AS precision_at_1,
    any(m.metrics)['precision@3'] AS precision_at_3,
    any(m.metrics)['precision@5'] AS precision_at_5,
    any(m.metrics)['psp@1'] AS propensity_scored_precision_at_1,
    any(m.uri) AS uri,
    any(m.sha256) AS sha256
FROM models AS m
LEFT JOIN (SELECT topic, name, maxIf(offset, promoted) AS served FROM models GROUP BY topic, name) AS newest USING (topic, name)
GROUP BY topic, name, version
ORDER BY name, version;
