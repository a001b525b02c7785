-- Per arm and time bin: calls and what happened to them, by the call's time.
SELECT
    make_timestamp(CAST(floor(epoch(ts) / ?) * ? * 1000000 AS BIGINT)) AS start,
    arm,
    count(*) AS calls,
    count(*) FILTER (favourite) AS favourites,
    count(*) FILTER (regenerations > 0) AS regenerated,
    count(*) FILTER (blocks > 0) AS blocked_calls
FROM call_facts
WHERE experiment = ? AND (? = 0 OR epoch = ?) AND (NOT ? OR workshop) AND origin = ? AND NOT excluded AND ts >= ?
GROUP BY ALL
ORDER BY start, arm
