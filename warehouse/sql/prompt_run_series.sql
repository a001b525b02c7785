-- Per arm and time bin: counted prompt-runs and blocked ones, by the verdict's time.
SELECT
    make_timestamp(CAST(floor(epoch(ts) / ?) * ? * 1000000 AS BIGINT)) AS start,
    arm,
    count(*) AS n,
    count(*) FILTER (blocked) AS blocked
FROM prompt_runs
WHERE experiment = ? AND (? = 0 OR epoch = ?) AND ts >= ?
GROUP BY ALL
ORDER BY start, arm
