-- Counts that say whether the data can be trusted, per arm assigned.
SELECT
    arm,
    count(*) AS calls,
    count(*) FILTER (reason = 'fallback') AS fallbacks,
    count(*) FILTER (arm_treated = '' AND error IS NULL) AS other_model,
    count(*) FILTER (error IS NOT NULL) AS errors,
    count(*) FILTER (reason = 'error') AS without_permit,
    count(*) FILTER (ts > received + INTERVAL 60 SECOND) AS from_the_future,
    count(*) FILTER (received > ts + INTERVAL 1 HOUR) AS late,
    count(*) FILTER (device = '') AS without_device,
    count(*) FILTER (run = '') AS without_run,
    count(*) FILTER (template_version = 'unknown') AS unknown_template,
    count(DISTINCT template_version) AS templates,
    count(*) FILTER (device_kind NOT IN ('browser', 'unknown')) AS no_workshop
FROM calls
WHERE experiment = ? AND epoch >= ? AND origin = 'live'
GROUP BY arm
ORDER BY arm
