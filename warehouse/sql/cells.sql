-- Calls folded into cells (experiment/observations.py): assignment units of the same device and arm that contributed
-- the same stand in one row. $arm is the arm assigned or treated, $segment a dimension from a fixed list.
WITH chosen AS (
    SELECT
        seq, epoch, eligible, template_version AS template, $arm AS arm, $segment AS segment, unit,
        -- Where no device is known every unit is its own cluster.
        CASE WHEN device = '' THEN unit ELSE device END AS cluster,
        favourite AND favourited_at <= ts + to_days(CAST(? AS INTEGER)) AS favourited,
        regenerations > 0 AS regenerated, edits > 0 AS edited, blocks > 0 AS blocked, refused
    FROM call_facts
    WHERE experiment = ? AND epoch >= ? AND origin = 'live' AND reason IN ('split', 'fallback') AND eligible <> ''
      AND workshop AND NOT excluded AND ts < ? AND $arm <> ''
),
firsts AS (
    SELECT cluster, min(seq) AS first FROM chosen GROUP BY cluster
),
units AS (
    SELECT
        epoch, eligible, template, arm, segment, cluster, unit,
        count(*) AS n,
        count(*) FILTER (favourited) AS favourites,
        count(*) FILTER (regenerated) AS regenerations,
        count(*) FILTER (edited) AS edits,
        count(*) FILTER (blocked) AS blocks,
        count(*) FILTER (refused) AS refusals
    FROM chosen
    GROUP BY ALL
)
SELECT
    u.epoch, u.eligible, u.template, u.arm, u.segment, u.cluster, f.first,
    u.n, u.favourites, u.regenerations, u.edits, u.blocks, u.refusals,
    count(*) AS units
FROM units u
JOIN firsts f USING (cluster)
GROUP BY ALL
-- A total order: draws go through the cells one by one, and the same data must give the same p-value.
ORDER BY f.first, u.epoch, u.eligible, u.template, u.arm, u.segment, u.n, u.favourites, u.regenerations, u.edits,
    u.blocks, u.refusals
