-- What the cell hashes of cells.sql and latency_cells.sql stand for.
SELECT DISTINCT
    hash(epoch, eligible, template_version, $arm, $segment) AS cell,
    epoch, eligible, template_version AS template, $arm AS arm, $segment AS segment
FROM calls
WHERE experiment = ? AND epoch >= ? AND origin = 'live' AND reason IN ('split', 'fallback') AND eligible <> ''
  AND $arm <> ''
