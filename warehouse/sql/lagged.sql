-- The latest calls in order of time, for carry-over: does the previous call's arm on the device show in the next one?
SELECT * FROM (
    SELECT
        seq, ts, epoch, eligible, template_version AS template, arm, device, regenerations > 0 AS regenerated
    FROM call_facts
    WHERE experiment = ? AND epoch >= ? AND origin = 'live' AND reason = 'split' AND eligible <> '' AND device <> ''
      AND workshop AND NOT excluded
    ORDER BY seq DESC
    LIMIT ?
)
ORDER BY ts, seq
