-- Views are replaced at every start. They use event time and id, never arrival order, so late events give the same result.

-- One row per call that a person or a check did something to. Passed checks are left out: they are as many as calls,
-- and no metric counts them (verdict_gaps.sql does, by itself).
CREATE OR REPLACE VIEW call_marks AS
SELECT
    call_seq,
    max(ts) FILTER (kind = 'favourite') AS favourited_at,
    -- The last word counts: a favourite taken back, at the same moment even, is none.
    coalesce(
        max(ts) FILTER (kind = 'favourite') > max(ts) FILTER (kind = 'unfavourite'),
        bool_or(kind = 'favourite') AND NOT bool_or(kind = 'unfavourite')
    ) AS favourite,
    count(*) FILTER (kind = 'regeneration') AS regenerations,
    count(*) FILTER (kind = 'edit') AS edits,
    count(*) FILTER (kind = 'block') AS blocks
FROM outcomes
WHERE call_seq > 0 AND kind IN ('favourite', 'unfavourite', 'regeneration', 'edit', 'block')
GROUP BY call_seq;

-- Calls without their texts, and whether a person excluded them from estimates.
CREATE OR REPLACE VIEW call_columns AS
SELECT
    c.seq, c.id, c.ts, c.experiment, c.epoch, c.arm, c.arm_treated, c.model, c.reason, c.eligible, c.bucket, c.unit,
    c.device, c.device_kind, c.run, c.parent_run, c.prompt, c.config, c.language, c.translated, c.safety_level,
    c.template_version, c.refused, c.latency_ms, c.tokens_in, c.tokens_out, c.error, c.origin, c.synthetic,
    c.device_kind IN ('browser', 'unknown') AS workshop,
    -- Three plain look-ups: one correlated EXISTS took longer than all the rest.
    (c.experiment, c.device) IN (SELECT (e.experiment, e.device) FROM exclusions e WHERE e.day IS NULL)
    OR (c.experiment, CAST(c.ts AS DATE)) IN (SELECT (e.experiment, e.day) FROM exclusions e WHERE e.device = '')
    OR (c.experiment, c.device, CAST(c.ts AS DATE)) IN (
        SELECT (e.experiment, e.device, e.day) FROM exclusions e WHERE e.device <> '' AND e.day IS NOT NULL
    ) AS excluded
FROM calls c;

-- The same with what happened to each call.
CREATE OR REPLACE VIEW call_facts AS
SELECT
    c.*,
    coalesce(o.favourite, FALSE) AS favourite,
    coalesce(o.regenerations, 0) AS regenerations,
    coalesce(o.edits, 0) AS edits,
    coalesce(o.blocks, 0) AS blocks,
    o.favourited_at
FROM call_columns c
LEFT JOIN call_marks o ON o.call_seq = c.seq;
