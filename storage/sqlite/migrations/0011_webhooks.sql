-- Where a job itself wants its end told: the endpoint stands for all such
-- webhooks at the URL's origin.
ALTER TABLE jobs ADD COLUMN webhook_url TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN webhook_endpoint BLOB;

-- What an event of no job tells; null: it is of one. One of none has its own id
-- for that of the job.
ALTER TABLE events ADD COLUMN data BLOB;
CREATE INDEX events_of_none ON events (created_at) WHERE data IS NOT NULL;

-- Durations are microseconds; lists and maps are JSON, empty where there are none.
-- secret_owner is whose secret signs: the endpoint itself, or its tenant.
CREATE TABLE webhook_endpoints (
    id             BLOB    NOT NULL PRIMARY KEY,
    tenant         TEXT    NOT NULL,
    secret_owner   BLOB    NOT NULL,
    url            TEXT    NOT NULL,
    description    TEXT    NOT NULL,
    types          TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    timeout        INTEGER NOT NULL,
    per_minute     INTEGER NOT NULL,
    concurrency    INTEGER NOT NULL,
    schedule       TEXT    NOT NULL,
    header         TEXT    NOT NULL,
    include_result INTEGER NOT NULL,
    disabled       TEXT    NOT NULL,
    per_job        INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    changed_at     INTEGER NOT NULL,
    schema_version INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_endpoints_tenant ON webhook_endpoints (tenant, created_at, id);

-- What couriers write of an endpoint. holder has it until held_until.
CREATE TABLE webhook_states (
    endpoint_id BLOB    NOT NULL PRIMARY KEY,
    holder      BLOB,
    held_until  INTEGER NOT NULL DEFAULT 0,
    resume_at   INTEGER NOT NULL DEFAULT 0,
    state       TEXT    NOT NULL DEFAULT '{}'
) STRICT, WITHOUT ROWID;

-- expires_at is 0 for the current one.
CREATE TABLE webhook_secrets (
    id         BLOB    NOT NULL PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    owner      BLOB    NOT NULL,
    key        TEXT    NOT NULL,
    key_id     BLOB,
    public_key TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_secrets_owner ON webhook_secrets (owner);
CREATE INDEX webhook_secrets_expired ON webhook_secrets (expires_at) WHERE expires_at > 0;

-- Endpoints that were deleted and whose deliveries have not all gone.
CREATE TABLE webhook_removals (endpoint_id BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;

-- first_due_at is when it was due before its first attempt since trigger. What has
-- was_ before it is what a replay found, for its cancellation to put back.
CREATE TABLE deliveries (
    id              BLOB    NOT NULL PRIMARY KEY,
    tenant          TEXT    NOT NULL,
    endpoint_id     BLOB    NOT NULL,
    event_id        BLOB    NOT NULL,
    job_id          BLOB,
    type            TEXT    NOT NULL,
    url             TEXT    NOT NULL,
    status          TEXT    NOT NULL CHECK (status IN ('pending', 'delivered', 'failed', 'skipped')),
    trigger         TEXT    NOT NULL,
    replay_id       BLOB,
    bulk            INTEGER NOT NULL DEFAULT 0,
    attempts        INTEGER NOT NULL DEFAULT 0,
    step            INTEGER NOT NULL DEFAULT 0,
    thin            INTEGER NOT NULL DEFAULT 0,
    due_at          INTEGER NOT NULL,
    first_due_at    INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER NOT NULL DEFAULT 0,
    was_status      TEXT    NOT NULL DEFAULT '',
    was_trigger     TEXT    NOT NULL DEFAULT '',
    was_replay_id   BLOB,
    was_step        INTEGER NOT NULL DEFAULT 0,
    was_finished_at INTEGER NOT NULL DEFAULT 0,
    schema_version  INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_endpoint ON deliveries (endpoint_id, status, id, type);
CREATE INDEX deliveries_job ON deliveries (job_id, id) WHERE job_id IS NOT NULL;
CREATE INDEX deliveries_of_none ON deliveries (event_id) WHERE job_id IS NULL;
CREATE INDEX deliveries_due ON deliveries (endpoint_id, bulk, due_at, id) WHERE status = 'pending';
CREATE INDEX deliveries_waiting ON deliveries (endpoint_id) WHERE status = 'pending' AND due_at > first_due_at;
CREATE INDEX deliveries_replay ON deliveries (replay_id) WHERE status = 'pending' AND replay_id IS NOT NULL;

CREATE TABLE delivery_bodies (
    delivery_id BLOB NOT NULL PRIMARY KEY,
    body        BLOB NOT NULL,
    key_id      BLOB
) STRICT;

CREATE TABLE delivery_attempts (
    delivery_id BLOB    NOT NULL,
    n           INTEGER NOT NULL,
    trigger     TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    verdict     INTEGER NOT NULL,
    failure     TEXT    NOT NULL,
    http_status INTEGER NOT NULL,
    retry_after INTEGER NOT NULL,
    latency     INTEGER NOT NULL,
    remote_addr TEXT    NOT NULL,
    answer      BLOB,
    key_id      BLOB,
    status      TEXT    NOT NULL,
    step        INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    thin        INTEGER NOT NULL,
    PRIMARY KEY (delivery_id, n)
) STRICT;

-- cursor is the last delivery that was looked at.
CREATE TABLE webhook_replays (
    id          BLOB    NOT NULL PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    endpoint_id BLOB    NOT NULL,
    since       INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    statuses    TEXT    NOT NULL,
    types       TEXT    NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('running', 'finished', 'cancelled')),
    total       INTEGER NOT NULL,
    queued      INTEGER NOT NULL DEFAULT 0,
    delivered   INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    cursor      BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_replays_endpoint ON webhook_replays (endpoint_id, created_at, id);
CREATE INDEX webhook_replays_running ON webhook_replays (id) WHERE status = 'running';
CREATE INDEX webhook_replays_ended ON webhook_replays (created_at) WHERE status <> 'running';
