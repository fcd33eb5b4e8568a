-- The request and the answer of an ephemeral job are dropped once delivered.
-- dropped_at is 0 while they are there.
ALTER TABLE jobs ADD COLUMN ephemeral INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN dropped_at INTEGER NOT NULL DEFAULT 0;

-- Ephemeral jobs that still have theirs, and when that is dropped at the latest.
CREATE TABLE drops (
    job_id         BLOB    NOT NULL PRIMARY KEY,
    due_at         INTEGER NOT NULL,
    schema_version INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

CREATE INDEX drops_due ON drops (due_at);
