-- Outputs of one comparison's calls with device and stratum, for diversity of openings and texts.
SELECT
    c.id, c.epoch, c.eligible, c.template_version AS template, c.arm,
    CASE WHEN c.device = '' THEN c.unit ELSE c.device END AS cluster,
    c.output
FROM calls c
WHERE c.experiment = ? AND c.epoch >= ? AND c.origin = 'live' AND c.reason = 'split' AND c.eligible <> ''
  AND c.device_kind IN ('browser', 'unknown') AND c.output IS NOT NULL AND NOT c.refused AND c.arm = c.arm_treated
ORDER BY c.seq DESC
LIMIT ?
