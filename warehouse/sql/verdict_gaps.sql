-- Per arm: calls sent to Stage 3 (not adult or research), and those still without a verdict after five minutes.
SELECT
    c.arm,
    count(DISTINCT c.seq) AS expected,
    count(DISTINCT c.seq) FILTER (
        c.seq NOT IN (SELECT call_seq FROM outcomes WHERE kind IN ('block', 'not_blocked')
            AND method NOT IN ('disabled', 'llm_check_failed'))
    ) AS missing
FROM outcomes s
JOIN calls c ON c.seq = s.call_seq
WHERE s.kind = 'submitted' AND c.experiment = ? AND c.epoch >= ? AND c.origin = 'live'
  AND c.safety_level NOT IN ('adult', 'research') AND c.ts < ?
GROUP BY c.arm
ORDER BY c.arm
