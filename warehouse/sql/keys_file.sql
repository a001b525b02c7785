-- Indexes of a DuckDB file (DuckLake has none; there known ids are PostgreSQL tables).
CREATE UNIQUE INDEX IF NOT EXISTS calls_id ON calls (id);
CREATE INDEX IF NOT EXISTS calls_run ON calls (run);
CREATE UNIQUE INDEX IF NOT EXISTS outcomes_id ON outcomes (id);
CREATE INDEX IF NOT EXISTS outcomes_run ON outcomes (run);
CREATE INDEX IF NOT EXISTS outcomes_child_run ON outcomes (child_run);
CREATE UNIQUE INDEX IF NOT EXISTS prompt_runs_key ON prompt_runs (key);
CREATE UNIQUE INDEX IF NOT EXISTS epochs_key ON epochs (experiment, epoch);
CREATE INDEX IF NOT EXISTS outcomes_call ON outcomes (call);
