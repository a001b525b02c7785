-- The live loop: calls, outcomes, prompt-runs, epochs, the guard's log. Portable types, NOT NULL only: DuckLake has
-- no keys or checks; keys_file.sql adds the indexes that a DuckDB file can have. Times are UTC without a zone.

CREATE TABLE calls (
    seq BIGINT NOT NULL,              -- commit number: the order in which the guard sees things
    id VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,          -- SHA-256 of the event as it was sent: same id, other digest = conflict
    ts TIMESTAMP NOT NULL,
    experiment VARCHAR NOT NULL,
    epoch BIGINT NOT NULL,            -- 0: no permit was valid, or imported
    arm VARCHAR NOT NULL,             -- assigned
    arm_treated VARCHAR NOT NULL,     -- whose model answered; '' if no arm's
    model VARCHAR NOT NULL,           -- that answered
    reason VARCHAR NOT NULL,
    bucket BIGINT NOT NULL,
    eligible VARCHAR NOT NULL,        -- adapters that chance could have given, joined by ','; '' if none
    unit VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
    device_kind VARCHAR NOT NULL,
    run VARCHAR NOT NULL,
    parent_run VARCHAR NOT NULL,
    prompt VARCHAR NOT NULL,          -- key; stays when the text goes
    output_key VARCHAR NOT NULL,
    config VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    translated BOOLEAN,
    safety_level VARCHAR NOT NULL,
    template_version VARCHAR NOT NULL,
    parameters VARCHAR NOT NULL,      -- JSON
    input VARCHAR,
    context VARCHAR,
    output VARCHAR,
    refused BOOLEAN NOT NULL,
    latency_ms DOUBLE,
    tokens_in BIGINT,
    tokens_out BIGINT,
    error VARCHAR,
    origin VARCHAR NOT NULL,
    synthetic BOOLEAN NOT NULL,
    received TIMESTAMP NOT NULL       -- when the service took it; its distance to ts shows clock skew and lateness
);

CREATE TABLE outcomes (
    seq BIGINT NOT NULL,
    id VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    experiment VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    call VARCHAR NOT NULL,            -- as sent; '' if addressed by run
    run VARCHAR NOT NULL,             -- as sent; '' if addressed by call
    child_run VARCHAR NOT NULL,
    call_id VARCHAR NOT NULL,         -- the call it belongs to; '' while that is pending
    call_seq BIGINT NOT NULL,         -- that call's seq: joins on it cost a fraction of joins on the id; 0 while pending
    stage VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    code VARCHAR NOT NULL,
    origin VARCHAR NOT NULL,
    synthetic BOOLEAN NOT NULL,
    received TIMESTAMP NOT NULL       -- when the service took it; its distance to ts shows clock skew and lateness
);

CREATE TABLE prompt_runs (
    key VARCHAR NOT NULL,             -- hash of (experiment, epoch, arm, device, prompt): one row per distinct pair
    seq BIGINT NOT NULL,
    ts TIMESTAMP NOT NULL,
    experiment VARCHAR NOT NULL,
    epoch BIGINT NOT NULL,
    arm VARCHAR NOT NULL,
    device VARCHAR NOT NULL,          -- '' where no device is known
    prompt VARCHAR NOT NULL,
    blocked BOOLEAN NOT NULL,
    event_id VARCHAR NOT NULL         -- the outcome that decided the pair
);

CREATE TABLE epochs (
    experiment VARCHAR NOT NULL,
    epoch BIGINT NOT NULL,
    opened TIMESTAMP NOT NULL,
    arms VARCHAR NOT NULL,            -- JSON of experiment.arms.Arms: frozen arms, weights, salt, unit
    plan VARCHAR NOT NULL,            -- JSON of experiment.config.PlanSettings, as it was before arming
    config_digest VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    actor VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    synthetic BOOLEAN NOT NULL
);

CREATE TABLE guard_log (
    seq BIGINT NOT NULL,
    ts TIMESTAMP NOT NULL,
    experiment VARCHAR NOT NULL,
    epoch BIGINT NOT NULL,
    arm VARCHAR NOT NULL,
    adapter VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    from_state VARCHAR NOT NULL,
    to_state VARCHAR NOT NULL,
    rule VARCHAR NOT NULL,
    grade VARCHAR NOT NULL,
    n BIGINT NOT NULL,
    blocked BIGINT NOT NULL,
    devices BIGINT NOT NULL,
    blocked_devices BIGINT NOT NULL,
    e_value DOUBLE NOT NULL,
    detector DOUBLE NOT NULL,
    base_n BIGINT NOT NULL,
    base_blocked BIGINT NOT NULL,
    thresholds VARCHAR NOT NULL,      -- JSON
    config_digest VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    last_event VARCHAR NOT NULL,
    actor VARCHAR NOT NULL,
    token_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    sentence VARCHAR NOT NULL,
    guard VARCHAR NOT NULL            -- JSON of experiment.guard.ArmGuard afterwards: what a restart reads back
);

CREATE TABLE overrides (
    seq BIGINT NOT NULL,
    ts TIMESTAMP NOT NULL,
    experiment VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,            -- base_only | opt_out | opt_in
    device VARCHAR NOT NULL,
    until TIMESTAMP,
    actor VARCHAR NOT NULL,
    token_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL
);

CREATE TABLE exclusions (
    seq BIGINT NOT NULL,
    id VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    experiment VARCHAR NOT NULL,
    device VARCHAR NOT NULL,          -- '' for a whole day
    day DATE,
    actor VARCHAR NOT NULL,
    token_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL
);

CREATE TABLE conclusions (
    seq BIGINT NOT NULL,
    ts TIMESTAMP NOT NULL,
    experiment VARCHAR NOT NULL,
    epoch BIGINT NOT NULL,            -- the last epoch that the conclusion is about
    actor VARCHAR NOT NULL,
    token_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    sentence VARCHAR NOT NULL         -- what the experiment said when it was closed
);

CREATE TABLE annotations (
    seq BIGINT NOT NULL,
    call VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,            -- tradition | topic
    label VARCHAR NOT NULL,
    labeller VARCHAR NOT NULL,        -- who or what labelled, with its version
    ts TIMESTAMP NOT NULL
);

CREATE TABLE erasures (
    seq BIGINT NOT NULL,
    ts TIMESTAMP NOT NULL,
    key VARCHAR NOT NULL,             -- pseudonym of the device or run that was erased: restore applies it again
    actor VARCHAR NOT NULL,
    token_id VARCHAR NOT NULL
);
