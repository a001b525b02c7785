-- Per arm: counted prompt-runs and blocked ones, as the guard counts them (exclusions never change guard history).
SELECT
    arm,
    count(*) AS n,
    count(*) FILTER (blocked) AS blocked,
    count(DISTINCT device) FILTER (device <> '') AS devices,
    count(DISTINCT device) FILTER (device <> '' AND blocked) AS blocked_devices
FROM prompt_runs
WHERE experiment = ? AND (? = 0 OR epoch = ?) AND ts >= ?
GROUP BY arm
ORDER BY arm
