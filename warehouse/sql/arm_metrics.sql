-- Per arm and value of one dimension: what a person compares. $dimension is put in from a fixed list of columns. Calls
-- are counted without a join; what people and checks did is few rows, joined to their calls from its own side.
WITH counted AS (
    SELECT
        arm,
        $dimension AS value,
        count(*) AS calls,
        count(*) FILTER (arm = arm_treated) AS treated,
        count(DISTINCT device) FILTER (device <> '') AS devices,
        count(*) FILTER (refused) AS refused,
        count(*) FILTER (error IS NOT NULL) AS errors,
        count(*) FILTER (reason = 'fallback') AS fallbacks,
        count(*) FILTER (reason = 'guard') AS guarded,
        count(latency_ms) AS timed,
        quantile_cont(latency_ms, [0.5, 0.9, 0.99]) AS latency  -- one pass for all three
    FROM call_columns
    WHERE experiment = $1 AND ($2 = 0 OR epoch = $2) AND (NOT $3 OR workshop) AND origin = $4 AND NOT excluded
      AND ts >= $5
    GROUP BY ALL
),
marked AS (
    SELECT
        c.arm,
        $dimension AS value,
        count(*) FILTER (m.favourite) AS favourites,
        count(*) FILTER (m.regenerations > 0) AS regenerated,
        count(*) FILTER (m.edits > 0) AS edited,
        count(*) FILTER (m.blocks > 0) AS blocked_calls
    FROM call_marks m
    JOIN call_columns c ON c.seq = m.call_seq
    WHERE c.experiment = $1 AND ($2 = 0 OR c.epoch = $2) AND (NOT $3 OR c.workshop) AND c.origin = $4
      AND NOT c.excluded AND c.ts >= $5
    GROUP BY ALL
)
SELECT
    counted.*,
    coalesce(marked.favourites, 0) AS favourites,
    coalesce(marked.regenerated, 0) AS regenerated,
    coalesce(marked.edited, 0) AS edited,
    coalesce(marked.blocked_calls, 0) AS blocked_calls
FROM counted
LEFT JOIN marked ON marked.arm = counted.arm AND marked.value = counted.value
ORDER BY counted.arm, counted.value
