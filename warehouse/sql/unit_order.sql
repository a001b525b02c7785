-- Assignment units in the order of their first call, for the sequential sample-ratio test; one row a unit and stratum.
SELECT epoch, eligible, arm, min(seq) AS first
FROM calls
WHERE experiment = ? AND epoch >= ? AND origin = 'live' AND reason IN ('split', 'fallback') AND eligible <> ''
GROUP BY epoch, eligible, arm, unit
ORDER BY first
