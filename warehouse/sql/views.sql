-- Views are replaced at every start. They use event time and id, never arrival order, so late events give the same result.

-- One row per call that anything happened to.
CREATE OR REPLACE VIEW call_outcomes AS
SELECT
    call_id,
    -- The last word counts: a favourite taken back is none.
    coalesce(arg_max(kind = 'favourite', (ts, id)) FILTER (kind IN ('favourite', 'unfavourite')), FALSE) AS favourite,
    count(*) FILTER (kind = 'regeneration') AS regenerations,
    count(*) FILTER (kind = 'edit') AS edits,
    count(*) FILTER (kind = 'submitted') AS submitted,
    count(*) FILTER (kind = 'block') AS blocks,
    count(*) FILTER (kind IN ('block', 'not_blocked')) AS verdicts,
    max(ts) FILTER (kind = 'favourite') AS favourited_at
FROM outcomes
WHERE call_id <> ''
GROUP BY call_id;

-- Calls without their texts, with what happened to them and whether a person excluded them from estimates.
CREATE OR REPLACE VIEW call_facts AS
SELECT
    c.seq, c.id, c.ts, c.experiment, c.epoch, c.arm, c.arm_treated, c.model, c.reason, c.eligible, c.bucket, c.unit, c.device,
    c.device_kind, c.run, c.parent_run, c.prompt, c.config, c.language, c.translated, c.safety_level,
    c.template_version, c.refused, c.latency_ms, c.tokens_in, c.tokens_out, c.error, c.origin, c.synthetic,
    c.device_kind IN ('browser', 'unknown') AS workshop,
    coalesce(o.favourite, FALSE) AS favourite,
    coalesce(o.regenerations, 0) AS regenerations,
    coalesce(o.edits, 0) AS edits,
    coalesce(o.submitted, 0) AS submitted,
    coalesce(o.blocks, 0) AS blocks,
    coalesce(o.verdicts, 0) AS verdicts,
    o.favourited_at,
    EXISTS (
        SELECT 1 FROM exclusions e
        WHERE e.experiment = c.experiment
          AND (e.device = '' OR e.device = c.device)
          AND (e.day IS NULL OR e.day = CAST(c.ts AS DATE))
    ) AS excluded
FROM calls c
LEFT JOIN call_outcomes o ON o.call_id = c.id;
