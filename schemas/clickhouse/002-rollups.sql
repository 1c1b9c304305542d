-- Sums a minute, kept up to date by materialised views as blocks arrive. Each target has the deduplication window of its source, so
-- that a block sent twice counts once here too. Rows are merged in the background: read through the views of 003, which add up.

CREATE TABLE IF NOT EXISTS decisions_per_minute {cluster}
(
    policy LowCardinality(String),
    policy_version Int32,
    arm LowCardinality(String),
    minute DateTime('UTC'),
    decisions SimpleAggregateFunction(sum, UInt64),
    propensity_sum SimpleAggregateFunction(sum, Float64)
)
ENGINE = {AggregatingMergeTree}
PARTITION BY toYYYYMM(minute)
ORDER BY (policy, policy_version, arm, minute)
TTL minute + INTERVAL {rollup_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS decisions_to_minutes {cluster} TO decisions_per_minute AS
SELECT policy, policy_version, arm, toStartOfMinute(occurred_at) AS minute, count() AS decisions, sum(propensity) AS propensity_sum
FROM decisions
GROUP BY policy, policy_version, arm, minute;

-- `weight_sum` and `weighted_reward_sum` are Σ 1/p and Σ r/p: the terms of inverse-propensity estimates of an arm's value.
CREATE TABLE IF NOT EXISTS outcomes_per_minute {cluster}
(
    policy LowCardinality(String),
    policy_version Int32,
    arm LowCardinality(String),
    minute DateTime('UTC'),
    outcomes SimpleAggregateFunction(sum, UInt64),
    observed SimpleAggregateFunction(sum, UInt64),
    reward_sum SimpleAggregateFunction(sum, Float64),
    reward_squared_sum SimpleAggregateFunction(sum, Float64),
    weight_sum SimpleAggregateFunction(sum, Float64),
    weighted_reward_sum SimpleAggregateFunction(sum, Float64)
)
ENGINE = {AggregatingMergeTree}
PARTITION BY toYYYYMM(minute)
ORDER BY (policy, policy_version, arm, minute)
TTL minute + INTERVAL {rollup_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS outcomes_to_minutes {cluster} TO outcomes_per_minute AS
SELECT
    policy,
    policy_version,
    arm,
    toStartOfMinute(occurred_at) AS minute,
    count() AS outcomes,
    countIf(reward_kind = 'observed') AS observed,
    sum(reward) AS reward_sum,
    sum(reward * reward) AS reward_squared_sum,
    sumIf(1 / propensity, propensity > 0) AS weight_sum,
    sumIf(reward / propensity, propensity > 0) AS weighted_reward_sum
FROM outcomes
GROUP BY policy, policy_version, arm, minute;

CREATE TABLE IF NOT EXISTS metrics_per_minute {cluster}
(
    name LowCardinality(String),
    minute DateTime('UTC'),
    values SimpleAggregateFunction(sum, UInt64),
    value_sum SimpleAggregateFunction(sum, Float64),
    value_min SimpleAggregateFunction(min, Float64),
    value_max SimpleAggregateFunction(max, Float64)
)
ENGINE = {AggregatingMergeTree}
PARTITION BY toYYYYMM(minute)
ORDER BY (name, minute)
TTL minute + INTERVAL {rollup_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS metrics_to_minutes {cluster} TO metrics_per_minute AS
SELECT
    name,
    toStartOfMinute(at) AS minute,
    count() AS values,
    sum(value) AS value_sum,
    min(value) AS value_min,
    max(value) AS value_max
FROM metrics
GROUP BY name, minute;

CREATE TABLE IF NOT EXISTS dead_letters_per_minute {cluster}
(
    source_topic LowCardinality(String),
    stage LowCardinality(String),
    code LowCardinality(String),
    minute DateTime('UTC'),
    dead_letters SimpleAggregateFunction(sum, UInt64)
)
ENGINE = {AggregatingMergeTree}
PARTITION BY toYYYYMM(minute)
ORDER BY (source_topic, stage, code, minute)
TTL minute + INTERVAL {rollup_days} DAY
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dead_letters_to_minutes {cluster} TO dead_letters_per_minute AS
SELECT source_topic, stage, code, toStartOfMinute(at) AS minute, count() AS dead_letters
FROM dead_letters
GROUP BY source_topic, stage, code, minute;
