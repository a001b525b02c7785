-- Per arm since the adapter was opened: calls whose verdict is expected (not adult or research; reported as sent to Stage 3,
-- longer ago than the grace) and how many of them have none.
SELECT
    c.arm,
    count(DISTINCT c.id) AS expected,
    count(DISTINCT c.id) FILTER (
        NOT EXISTS (SELECT 1 FROM outcomes v WHERE v.call_seq = c.seq AND v.kind IN ('block', 'not_blocked')
            AND v.method NOT IN ('disabled', 'llm_check_failed'))
    ) AS missing
FROM outcomes s
JOIN calls c ON c.seq = s.call_seq
WHERE s.kind = 'submitted' AND s.ts >= ? AND s.ts < ?
  AND c.experiment = ? AND c.arm = c.arm_treated AND c.safety_level NOT IN ('adult', 'research')
GROUP BY c.arm
