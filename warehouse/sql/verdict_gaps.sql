-- Per arm: calls sent to Stage 3 (not adult or research), and those still without a verdict after five minutes.
SELECT
    c.arm,
    count(*) AS expected,
    count(*) FILTER (o.verdicts = 0) AS missing
FROM calls c
JOIN call_outcomes o ON o.call_id = c.id
WHERE c.experiment = ? AND c.epoch >= ? AND c.origin = 'live' AND o.submitted > 0
  AND c.safety_level NOT IN ('adult', 'research') AND c.ts < ?
GROUP BY c.arm
ORDER BY c.arm
