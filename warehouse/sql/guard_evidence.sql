-- One adapter's counted prompt-runs since arming, in the order in which the guard saw them: n, S, and when; thinned out.
SELECT ts, n, blocked
FROM (
    SELECT
        ts,
        row_number() OVER (ORDER BY seq) AS n,
        sum(CAST(blocked AS INTEGER)) OVER (ORDER BY seq) AS blocked,
        count(*) OVER () AS total
    FROM prompt_runs
    WHERE experiment = ? AND arm = ? AND epoch >= ?
)
WHERE n = total OR n % greatest(1, CAST(floor(total / ?) AS BIGINT)) = 0
ORDER BY n
