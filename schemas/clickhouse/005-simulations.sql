-- What `millrace simulate` came to: a row a run and point of its curve. `hash` is that of everything that decides what comes out but the seed (policy,
-- environment, attack, data, rounds), so a simulation run again is there once, and one changed under the same name stands beside the old one.
-- `regret` is unknown in a log. `counted` are the rounds that counted: all, but in a log.

CREATE TABLE IF NOT EXISTS simulation_curves {cluster}
(
    simulation LowCardinality(String),
    environment LowCardinality(String),
    attack LowCardinality(String),
    policy LowCardinality(String),
    hash LowCardinality(String),
    seed UInt32,
    round UInt64 CODEC(Delta, ZSTD(1)),
    counted UInt64 CODEC(Delta, ZSTD(1)),
    regret Nullable(Float64) CODEC(ZSTD(1)),
    reward Float64 CODEC(ZSTD(1)),
    cost Float64 CODEC(ZSTD(1)),
    attacks UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = {ReplacingMergeTree}
ORDER BY (simulation, environment, attack, policy, hash, seed, round)
SETTINGS non_replicated_deduplication_window = 10000;

-- Mean and standard deviation over the seeds.
CREATE VIEW IF NOT EXISTS simulation_regret {cluster} AS
SELECT
    simulation,
    environment,
    attack,
    policy,
    hash,
    round,
    count() AS seeds,
    avg(c.regret) AS regret,
    if(count() > 1, stddevSamp(c.regret), 0) AS regret_deviation,
    avg(c.reward) AS reward,
    avg(c.cost) AS cost,
    avg(c.attacks) AS attacks
FROM simulation_curves AS c FINAL
GROUP BY simulation, environment, attack, policy, hash, round
ORDER BY simulation, environment, attack, policy, hash, round;
