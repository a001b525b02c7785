-- Calls folded into cells (experiment/observations.py): assignment units of the same device and arm that contributed
-- the same stand in one row. $arm is the arm assigned or treated, $segment a dimension from a fixed list. Everything is
-- grouped by 64-bit hashes, which cost a fraction of the names (two of ten million units share one with p = 3·10⁻⁶);
-- cell_names.sql gives the strata their names.
WITH chosen AS (
    SELECT
        seq,
        hash(epoch, eligible, template_version, $arm, $segment) AS cell,
        hash(unit) AS unit,
        -- Where no device is known every unit is its own cluster.
        hash(CASE WHEN device = '' THEN unit ELSE device END) AS cluster,
        ts < ? AS mature,
        favourite AND favourited_at <= ts + to_days(CAST(? AS INTEGER)) AS favourited,
        regenerations > 0 AS regenerated, edits > 0 AS edited, blocks > 0 AS blocked, refused,
        unit <> run AS inherits
    FROM call_facts
    WHERE experiment = ? AND epoch >= ? AND origin = 'live' AND reason IN ('split', 'fallback') AND eligible <> ''
      AND workshop AND NOT excluded AND ts < ? AND $arm <> ''
),
-- Only a unit that some call inherited can have more than one call under assignment per run.
shared AS (
    SELECT DISTINCT unit FROM chosen WHERE inherits
),
units AS (
    SELECT
        cell, cluster, mature, min(seq) AS first,
        count(*) AS n,
        count(*) FILTER (favourited) AS favourites,
        count(*) FILTER (regenerated) AS regenerations,
        count(*) FILTER (edited) AS edits,
        count(*) FILTER (blocked) AS blocks,
        count(*) FILTER (refused) AS refusals,
        1 AS units
    FROM chosen
    WHERE unit IN (SELECT unit FROM shared)
    GROUP BY cell, cluster, unit, mature
    UNION ALL
    SELECT
        cell, cluster, mature, min(seq), 1, CAST(favourited AS BIGINT), CAST(regenerated AS BIGINT),
        CAST(edited AS BIGINT), CAST(blocked AS BIGINT), CAST(refused AS BIGINT), count(*)
    FROM chosen
    WHERE unit NOT IN (SELECT unit FROM shared)
    GROUP BY cell, cluster, mature, favourited, regenerated, edited, blocked, refused
)
SELECT
    cell, cluster, mature, n, favourites, regenerations, edits, blocks, refusals,
    CAST(sum(units) AS BIGINT) AS units, min(first) AS first
FROM units
GROUP BY cell, cluster, mature, n, favourites, regenerations, edits, blocks, refusals
-- A total order: draws go through the cells one by one, and the same data must give the same p-value.
ORDER BY cluster, cell, mature, n, favourites, regenerations, edits, blocks, refusals
