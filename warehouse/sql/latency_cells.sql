-- Latency per stratum, device and arm: sums that a clustered interval needs (milliseconds).
SELECT
    hash(epoch, eligible, template_version, $arm, $segment) AS cell,
    hash(CASE WHEN device = '' THEN unit ELSE device END) AS cluster,
    TRUE AS mature,
    min(seq) AS first,
    count(*) AS n,
    sum(latency_ms) AS latency,
    sum(latency_ms * latency_ms) AS latency_squared,
    1 AS units
FROM call_facts
WHERE experiment = ? AND epoch >= ? AND origin = 'live' AND reason IN ('split', 'fallback') AND eligible <> ''
  AND workshop AND NOT excluded AND ts < ? AND $arm <> '' AND latency_ms IS NOT NULL
GROUP BY cell, cluster
ORDER BY cluster, cell
