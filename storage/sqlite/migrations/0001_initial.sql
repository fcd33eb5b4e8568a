-- Ids are 16 bytes, times are microseconds since 1970 (0: not known), money is
-- thousand-millionths of a US dollar, booleans are 0 and 1.
--
-- Cold tables: written once or twice, kept for long.

CREATE TABLE requests (
    execution_id   BLOB    NOT NULL PRIMARY KEY,
    tenant         TEXT    NOT NULL,
    hash           TEXT    NOT NULL,
    endpoint       TEXT    NOT NULL,
    route          TEXT    NOT NULL,
    body           BLOB    NOT NULL,
    sample         INTEGER NOT NULL,
    cost           INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    schema_version INTEGER NOT NULL DEFAULT 1
) STRICT;

-- fence is the one the result was brought under; of a poisoned execution it is
-- one that no worker ever had, so that nobody can repeat its finish.
CREATE TABLE results (
    execution_id     BLOB    NOT NULL PRIMARY KEY,
    tenant           TEXT    NOT NULL,
    hash             TEXT    NOT NULL,
    fence            INTEGER NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('succeeded', 'failed')),
    body             BLOB,
    error_code       TEXT    NOT NULL,
    error_message    TEXT    NOT NULL,
    provider         TEXT    NOT NULL,
    model            TEXT    NOT NULL,
    input_tokens     INTEGER,
    output_tokens    INTEGER,
    cached_tokens    INTEGER,
    reasoning_tokens INTEGER,
    tries            INTEGER NOT NULL,
    cacheable        INTEGER NOT NULL,
    finished_at      INTEGER NOT NULL,
    schema_version   INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE INDEX results_cache ON results (hash, tenant, finished_at) WHERE cacheable;

-- A live job has status queued here: whether it runs, and on what it waits, is
-- read off its execution. The row is written at submit and once at its end.
CREATE TABLE jobs (
    id             BLOB    NOT NULL PRIMARY KEY,
    tenant         TEXT    NOT NULL,
    execution_id   BLOB    NOT NULL,
    status         TEXT    NOT NULL
        CHECK (status IN ('queued', 'succeeded', 'failed', 'cancelled', 'expired')),
    endpoint       TEXT    NOT NULL,
    model          TEXT    NOT NULL,
    priority       INTEGER NOT NULL,
    deadline       INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    started_at     INTEGER NOT NULL DEFAULT 0,
    finished_at    INTEGER NOT NULL DEFAULT 0,
    hash           TEXT    NOT NULL,
    deduplicated   INTEGER NOT NULL,
    cached         INTEGER NOT NULL DEFAULT 0,
    age            INTEGER NOT NULL DEFAULT 0,
    tries          INTEGER NOT NULL DEFAULT 0,
    provider       TEXT    NOT NULL DEFAULT '',
    cost_usd       INTEGER,
    metadata       TEXT,
    end_user       TEXT    NOT NULL,
    error_code     TEXT    NOT NULL DEFAULT '',
    error_message  TEXT    NOT NULL DEFAULT '',
    schema_version INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_list ON jobs (tenant, id DESC);
CREATE INDEX jobs_execution ON jobs (execution_id);

-- status is null while the call is open, and for ever when its worker died.
CREATE TABLE calls (
    id                  BLOB    NOT NULL,
    execution_id        BLOB    NOT NULL,
    fence               INTEGER NOT NULL,
    tenant              TEXT    NOT NULL,
    request_hash        TEXT    NOT NULL,
    provider            TEXT    NOT NULL CHECK (length(provider) <= 32),
    model               TEXT    NOT NULL,
    latency_ms          INTEGER,
    ttft_ms             INTEGER,
    status              TEXT CHECK (status IN ('success', 'failure', 'timeout', 'cancelled')),
    error_class         TEXT,
    http_status         INTEGER,
    input_tokens        INTEGER,
    output_tokens       INTEGER,
    cached_tokens       INTEGER,
    reasoning_tokens    INTEGER,
    reserved_usd        INTEGER,
    cost_usd            INTEGER,
    provider_request_id TEXT    NOT NULL DEFAULT '',
    partial             TEXT    NOT NULL DEFAULT '',
    created_at          INTEGER NOT NULL,
    schema_version      INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (execution_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id             BLOB    NOT NULL,
    job_id         BLOB    NOT NULL,
    tenant         TEXT    NOT NULL,
    type           TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    schema_version INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (job_id, id)
) STRICT, WITHOUT ROWID;

-- Hot tables: as many rows as there are live executions, whatever was done
-- before.
--
-- A row is a live execution. dedupe_key is the hash, or the execution's own id
-- when nobody may attach. deadline is the earliest of its live jobs, stop_at
-- the latest. visible_at is when it may be released; while it is released, or
-- settling, that is never. provider is the one that answered last.
CREATE TABLE queue (
    id             BLOB    NOT NULL PRIMARY KEY,
    tenant         TEXT    NOT NULL,
    dedupe_key     TEXT    NOT NULL,
    hash           TEXT    NOT NULL,
    route          TEXT    NOT NULL,
    target         INTEGER NOT NULL DEFAULT 0,
    priority       INTEGER NOT NULL,
    fence          INTEGER NOT NULL DEFAULT 0,
    tries          INTEGER NOT NULL DEFAULT 0,
    crashes        INTEGER NOT NULL DEFAULT 0,
    cost           INTEGER NOT NULL,
    deadline       INTEGER NOT NULL,
    stop_at        INTEGER NOT NULL,
    visible_at     INTEGER NOT NULL DEFAULT 0,
    waiting_on     TEXT    NOT NULL DEFAULT '',
    payer_job_id   BLOB    NOT NULL,
    no_store       INTEGER NOT NULL,
    settling       INTEGER NOT NULL DEFAULT 0,
    provider       TEXT    NOT NULL DEFAULT '',
    started_at     INTEGER NOT NULL DEFAULT 0,
    schema_version INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX queue_dedupe ON queue (dedupe_key, tenant);
CREATE INDEX queue_order ON queue (route, priority, tenant, deadline, id);
CREATE INDEX queue_settling ON queue (id) WHERE settling;

-- A row exists exactly while an execution is released or running, so that the
-- table is as small as the window. worker is null until it is claimed.
CREATE TABLE releases (
    execution_id   BLOB    NOT NULL PRIMARY KEY,
    fence          INTEGER NOT NULL,
    provider       TEXT    NOT NULL,
    model          TEXT    NOT NULL,
    priority       INTEGER NOT NULL,
    tenant         TEXT    NOT NULL,
    released_at    INTEGER NOT NULL,
    worker         BLOB,
    call_id        BLOB,
    claimed_at     INTEGER NOT NULL DEFAULT 0,
    schema_version INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

CREATE TABLE live_jobs (
    execution_id   BLOB    NOT NULL,
    job_id         BLOB    NOT NULL,
    tenant         TEXT    NOT NULL,
    priority       INTEGER NOT NULL,
    deadline       INTEGER NOT NULL,
    schema_version INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (execution_id, job_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX live_jobs_deadline ON live_jobs (deadline);

CREATE TABLE idempotency (
    key            TEXT    NOT NULL,
    tenant         TEXT    NOT NULL,
    fingerprint    BLOB    NOT NULL,
    job_id         BLOB    NOT NULL,
    created_at     INTEGER NOT NULL,
    schema_version INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (key, tenant)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_created ON idempotency (created_at);

CREATE TABLE workers (
    id   BLOB    NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL,
    beat INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last beat given to any worker. It never goes back, so that a worker that
-- was declared dead and came back is not taken for what it was.
CREATE TABLE beats (last INTEGER NOT NULL) STRICT;

INSERT INTO beats (last) VALUES (0);

CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    holder     BLOB    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
