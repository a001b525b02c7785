-- Latency per stratum, device and arm: sums that a clustered interval needs (milliseconds).
SELECT
    epoch, eligible, template_version AS template, $arm AS arm, $segment AS segment,
    CASE WHEN device = '' THEN unit ELSE device END AS cluster,
    min(seq) AS first,
    count(*) AS n,
    sum(latency_ms) AS latency,
    sum(latency_ms * latency_ms) AS latency_squared,
    1 AS units
FROM call_facts
WHERE experiment = ? AND epoch >= ? AND origin = 'live' AND reason IN ('split', 'fallback') AND eligible <> ''
  AND workshop AND NOT excluded AND ts < ? AND $arm <> '' AND latency_ms IS NOT NULL
GROUP BY ALL
ORDER BY first, epoch, eligible, template, arm, segment
