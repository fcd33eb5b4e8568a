-- The request and the answer of an ephemeral job are dropped once delivered.
ALTER TABLE jobs ADD COLUMN ephemeral boolean NOT NULL DEFAULT false, ADD COLUMN dropped_at timestamptz;
ALTER TABLE live_jobs ADD COLUMN ephemeral boolean NOT NULL DEFAULT false;

-- Ephemeral jobs that still have theirs, and when that is dropped at the latest.
CREATE TABLE drops (
    job_id         uuid        NOT NULL PRIMARY KEY,
    due_at         timestamptz NOT NULL,
    schema_version smallint    NOT NULL DEFAULT 1
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX drops_due ON drops (due_at);
