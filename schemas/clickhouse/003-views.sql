-- What dashboards read. The views add up rollup rows that are not merged yet; only `learning_curve` reads raw rows.

-- Mean reward of every policy, minute by minute of the requests' time.
CREATE VIEW IF NOT EXISTS reward_rate {cluster} AS
SELECT
    policy,
    policy_version,
    minute,
    sum(o.outcomes) AS outcomes,
    sum(o.observed) AS observed,
    sum(o.reward_sum) / sum(o.outcomes) AS reward_rate,
    sqrt(greatest(0, sum(o.reward_squared_sum) / sum(o.outcomes) - pow(sum(o.reward_sum) / sum(o.outcomes), 2)) / sum(o.outcomes)) AS standard_error
FROM outcomes_per_minute AS o
GROUP BY policy, policy_version, minute
ORDER BY policy, policy_version, minute;

-- Mean reward of every tenth of a policy's outcomes, in the order in which they were published: how far it has learned, whatever the
-- clock. Sorts all outcomes of the policies selected: for runs, not for years.
CREATE VIEW IF NOT EXISTS learning_curve {cluster} AS
SELECT
    policy,
    tenth,
    count() AS outcomes,
    avg(reward) AS reward_rate
FROM
(
    SELECT
        policy,
        reward,
        1 + intDiv(10 * (row_number() OVER (PARTITION BY policy ORDER BY partition, offset) - 1), count() OVER (PARTITION BY policy)) AS tenth
    FROM outcomes
)
GROUP BY policy, tenth
ORDER BY policy, tenth;

-- How often each arm was chosen, its mean propensity, minute by minute.
CREATE VIEW IF NOT EXISTS arm_share {cluster} AS
SELECT
    policy,
    policy_version,
    minute,
    arm,
    sum(d.decisions) AS decisions,
    sum(d.decisions) / sum(sum(d.decisions)) OVER (PARTITION BY policy, policy_version, minute) AS share,
    sum(d.propensity_sum) / sum(d.decisions) AS mean_propensity
FROM decisions_per_minute AS d
GROUP BY policy, policy_version, minute, arm
ORDER BY policy, policy_version, minute, arm;

CREATE VIEW IF NOT EXISTS metric_minutes {cluster} AS
SELECT
    name,
    minute,
    sum(m.values) AS values,
    sum(m.value_sum) / sum(m.values) AS mean,
    min(m.value_min) AS minimum,
    max(m.value_max) AS maximum
FROM metrics_per_minute AS m
GROUP BY name, minute
ORDER BY name, minute;

CREATE VIEW IF NOT EXISTS dead_letter_counts {cluster} AS
SELECT source_topic, stage, code, minute, sum(d.dead_letters) AS dead_letters
FROM dead_letters_per_minute AS d
GROUP BY source_topic, stage, code, minute
ORDER BY source_topic, stage, code, minute;
