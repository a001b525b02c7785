-- Per arm: blocks by stage, method and code. Guards are biased themselves, so researchers see which check blocked.
SELECT c.arm, o.stage, o.method, o.code, count(DISTINCT o.call_seq) AS calls
FROM outcomes o
JOIN calls c ON c.seq = o.call_seq
WHERE o.kind = 'block' AND c.experiment = ? AND (? = 0 OR c.epoch = ?) AND o.ts >= ?
GROUP BY ALL
ORDER BY c.arm, calls DESC, o.stage, o.method, o.code
