-- The batch that a job is of; null: of none.
ALTER TABLE jobs ADD COLUMN batch_id BLOB;
CREATE INDEX jobs_batch ON jobs (batch_id, id DESC) WHERE batch_id IS NOT NULL;

-- Durations are microseconds; policy, metadata and problems are JSON. holder has it until
-- held_until. seq is the last that a line was given.
CREATE TABLE batches (
    id               BLOB    NOT NULL PRIMARY KEY,
    tenant           TEXT    NOT NULL,
    endpoint         TEXT    NOT NULL,
    input_file       BLOB    NOT NULL,
    output_file      BLOB    NOT NULL,
    error_file       BLOB    NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN (
        'validating', 'failed', 'in_progress', 'finalizing', 'completed', 'expired', 'cancelling', 'cancelled')),
    paused           INTEGER NOT NULL DEFAULT 0,
    policy           TEXT    NOT NULL,
    metadata         TEXT,
    time_window      TEXT    NOT NULL,
    output_ttl       INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    deadline         INTEGER NOT NULL,
    started_at       INTEGER NOT NULL DEFAULT 0,
    finalizing_at    INTEGER NOT NULL DEFAULT 0,
    cancelling_at    INTEGER NOT NULL DEFAULT 0,
    ended_at         INTEGER NOT NULL DEFAULT 0,
    lines_read       INTEGER NOT NULL DEFAULT 0,
    bytes_read       INTEGER NOT NULL DEFAULT 0,
    problems         TEXT,
    problem_count    INTEGER NOT NULL DEFAULT 0,
    total            INTEGER NOT NULL DEFAULT 0,
    pending          INTEGER NOT NULL DEFAULT 0,
    live             INTEGER NOT NULL DEFAULT 0,
    succeeded        INTEGER NOT NULL DEFAULT 0,
    failed           INTEGER NOT NULL DEFAULT 0,
    cancelled        INTEGER NOT NULL DEFAULT 0,
    expired          INTEGER NOT NULL DEFAULT 0,
    deduplicated     INTEGER NOT NULL DEFAULT 0,
    input_tokens     INTEGER,
    output_tokens    INTEGER,
    cached_tokens    INTEGER,
    reasoning_tokens INTEGER,
    cost_usd         INTEGER NOT NULL DEFAULT 0,
    rate             REAL    NOT NULL DEFAULT 0,
    seq              INTEGER NOT NULL DEFAULT 0,
    repeat_key       TEXT    NOT NULL DEFAULT '',
    fingerprint      BLOB    NOT NULL,
    holder           BLOB,
    held_until       INTEGER NOT NULL DEFAULT 0,
    schema_version   INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

CREATE INDEX batches_list ON batches (tenant, id DESC);
CREATE INDEX batches_live ON batches (id) WHERE ended_at = 0;
CREATE INDEX batches_input ON batches (input_file) WHERE ended_at = 0;
CREATE INDEX batches_repeat ON batches (tenant, repeat_key, id DESC) WHERE repeat_key > '';

-- A line is at so many bytes in the input. seq is its place among those that have ended.
CREATE TABLE batch_lines (
    batch_id  BLOB    NOT NULL,
    n         INTEGER NOT NULL,
    custom_id TEXT    NOT NULL,
    at_byte   INTEGER NOT NULL,
    length    INTEGER NOT NULL,
    hash      BLOB    NOT NULL,
    repeats   INTEGER NOT NULL,
    state     TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN (
        'pending', 'live', 'withdrawn', 'succeeded', 'failed', 'cancelled', 'expired')),
    round     INTEGER NOT NULL DEFAULT 0,
    attempt   INTEGER NOT NULL DEFAULT 0,
    job_id    BLOB,
    code      TEXT    NOT NULL DEFAULT '',
    seq       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (batch_id, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX batch_lines_pending ON batch_lines (batch_id, n) WHERE state = 'pending';
CREATE INDEX batch_lines_live ON batch_lines (batch_id, n) WHERE state IN ('live', 'withdrawn');
CREATE INDEX batch_lines_ended ON batch_lines (batch_id, seq) WHERE seq > 0;
CREATE INDEX batch_lines_unanswered ON batch_lines (batch_id, n, code) WHERE state IN ('failed', 'cancelled', 'expired');

-- Batches whose lines are to be removed.
CREATE TABLE batch_removals (batch_id BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
