-- Per arm and value of one dimension: what a person compares. $dimension is put in from a fixed list of columns.
SELECT
    arm,
    $dimension AS value,
    count(*) AS calls,
    count(*) FILTER (arm = arm_treated) AS treated,
    count(DISTINCT device) FILTER (device <> '') AS devices,
    count(*) FILTER (favourite) AS favourites,
    count(*) FILTER (regenerations > 0) AS regenerated,
    count(*) FILTER (edits > 0) AS edited,
    count(*) FILTER (refused) AS refused,
    count(*) FILTER (blocks > 0) AS blocked_calls,
    count(*) FILTER (error IS NOT NULL) AS errors,
    count(*) FILTER (reason = 'fallback') AS fallbacks,
    count(*) FILTER (reason = 'guard') AS guarded,
    count(latency_ms) AS timed,
    quantile_cont(latency_ms, [0.5, 0.9, 0.99]) AS latency  -- one pass for all three
FROM call_facts
WHERE experiment = ? AND (? = 0 OR epoch = ?) AND (NOT ? OR workshop) AND origin = ? AND NOT excluded AND ts >= ?
GROUP BY ALL
ORDER BY arm, value
