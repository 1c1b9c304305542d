-- What became of everything that a task of the join has taken in: counts since the task's first commit, a row a kind at every commit.
-- `task` is the event's own partition; `topic`, `partition` and `offset` are those of the ledger's record. `watermark` is in
-- milliseconds, as in the event: any event time can be one.

CREATE TABLE IF NOT EXISTS ledgers {cluster}
(
    task Int32,
    kind LowCardinality(String),
    taken Int64 CODEC(Delta, ZSTD(1)),
    used Int64 CODEC(Delta, ZSTD(1)),
    pending Int64 CODEC(ZSTD(1)),
    reasons Map(LowCardinality(String), Int64) CODEC(ZSTD(1)),
    watermark Nullable(Int64) CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = {MergeTree}
PARTITION BY toYYYYMM(at)
ORDER BY (topic, task, kind, offset)
TTL toDateTime(at) + INTERVAL {event_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- The newest row of each task and kind: what the views read, however many commits there were.
CREATE TABLE IF NOT EXISTS newest_ledgers {cluster}
(
    topic LowCardinality(String),
    task Int32,
    kind LowCardinality(String),
    taken Int64,
    used Int64,
    pending Int64,
    reasons Map(LowCardinality(String), Int64),
    watermark Nullable(Int64),
    at DateTime64(3, 'UTC'),
    offset UInt64
)
ENGINE = {ReplacingMergeTree}(offset)
ORDER BY (topic, task, kind)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS ledgers_to_newest {cluster} TO newest_ledgers AS
SELECT topic, task, kind, taken, used, pending, reasons, watermark, at, offset
FROM ledgers;

-- Each task's ledger at its newest commit: `imbalance` is 0 while nothing is lost and nothing counted twice.
CREATE VIEW IF NOT EXISTS ledger_tasks {cluster} AS
SELECT
    topic,
    task,
    kind,
    taken,
    used,
    pending,
    reasons,
    arraySum(mapValues(reasons)) AS reason_sum,
    taken - used - reason_sum - pending AS imbalance,
    watermark,
    at
FROM newest_ledgers FINAL
ORDER BY topic, kind, task;

CREATE VIEW IF NOT EXISTS ledger_totals {cluster} AS
SELECT
    topic,
    kind,
    count() AS tasks,
    sum(l.taken) AS taken,
    sum(l.used) AS used,
    sum(l.pending) AS pending,
    sumMap(l.reasons) AS reasons,
    sum(l.reason_sum) AS reason_sum,
    sum(l.imbalance) AS imbalance,
    min(l.watermark) AS watermark,
    max(l.at) AS at
FROM ledger_tasks AS l
GROUP BY topic, kind
ORDER BY topic, kind;
