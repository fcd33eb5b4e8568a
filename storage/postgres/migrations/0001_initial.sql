-- Cold tables: written once or twice, kept for long, partitioned by the time in
-- a UUIDv7, so that a look-up by id reads one partition and old weeks are
-- dropped whole. Partitions are made by partitions.go, not here; the default
-- partition takes what no week covers. Every table carries the tenant.
--
-- Hot tables: as many rows as there are live executions, whatever was done
-- before. Updates of a queue row that touch no indexed column stay HOT.

CREATE TABLE requests (
    execution_id   uuid        NOT NULL PRIMARY KEY,
    tenant         text        NOT NULL COLLATE "C",
    hash           text        NOT NULL COLLATE "C",
    endpoint       text        NOT NULL,
    route          text        NOT NULL COLLATE "C",
    body           bytea       NOT NULL,
    sample         integer     NOT NULL,
    cost           bigint      NOT NULL,
    created_at     timestamptz NOT NULL,
    schema_version smallint    NOT NULL DEFAULT 1
) PARTITION BY RANGE (execution_id);

-- fence is zero when no worker brought the result: then nobody can repeat the
-- Finish that made it.
CREATE TABLE results (
    execution_id     uuid        NOT NULL PRIMARY KEY,
    tenant           text        NOT NULL COLLATE "C",
    hash             text        NOT NULL COLLATE "C",
    fence            bigint      NOT NULL,
    status           text        NOT NULL CHECK (status IN ('succeeded', 'failed')),
    body             bytea,
    error_code       text,
    error_message    text,
    provider         text        NOT NULL,
    model            text        NOT NULL,
    input_tokens     bigint,
    output_tokens    bigint,
    cached_tokens    bigint,
    reasoning_tokens bigint,
    tries            integer     NOT NULL,
    cacheable        boolean     NOT NULL,
    finished_at      timestamptz NOT NULL,
    schema_version   smallint    NOT NULL DEFAULT 1
) PARTITION BY RANGE (execution_id);

CREATE INDEX results_cache ON results (hash, tenant, finished_at) WHERE cacheable;

-- A live job has status queued here: whether it runs, and on what it waits, is
-- read off its execution. The row is written at submit and once at its end.
CREATE TABLE jobs (
    id               uuid        NOT NULL PRIMARY KEY,
    tenant           text        NOT NULL COLLATE "C",
    execution_id     uuid        NOT NULL,
    status           text        NOT NULL
        CHECK (status IN ('queued', 'succeeded', 'failed', 'cancelled', 'expired')),
    endpoint         text        NOT NULL,
    model            text        NOT NULL,
    priority         smallint    NOT NULL,
    deadline         timestamptz NOT NULL,
    created_at       timestamptz NOT NULL,
    started_at       timestamptz,
    finished_at      timestamptz,
    hash             text        NOT NULL COLLATE "C",
    deduplicated     boolean     NOT NULL,
    cached           boolean     NOT NULL,
    age_us           bigint      NOT NULL DEFAULT 0,
    tries            integer     NOT NULL DEFAULT 0,
    provider         text        NOT NULL DEFAULT '',
    input_tokens     bigint,
    output_tokens    bigint,
    cached_tokens    bigint,
    reasoning_tokens bigint,
    cost_usd         numeric(20, 9),
    metadata         jsonb,
    end_user         text        NOT NULL,
    error_code       text,
    error_message    text,
    schema_version   smallint    NOT NULL DEFAULT 1
) PARTITION BY RANGE (id);

CREATE INDEX jobs_list ON jobs (tenant, id DESC);
CREATE INDEX jobs_execution ON jobs (execution_id);

-- status is null while the call is open, and for ever when its worker died.
CREATE TABLE calls (
    id                  uuid        NOT NULL,
    execution_id        uuid        NOT NULL,
    fence               bigint      NOT NULL,
    tenant              text        NOT NULL COLLATE "C",
    request_hash        char(64)    NOT NULL,
    provider            varchar(32) NOT NULL,
    model               text        NOT NULL,
    latency_ms          integer,
    ttft_ms             integer,
    status              text        CHECK (status IN ('success', 'failure', 'timeout', 'cancelled')),
    error_class         text,
    http_status         integer,
    input_tokens        bigint,
    output_tokens       bigint,
    cached_tokens       bigint,
    reasoning_tokens    bigint,
    reserved_usd        numeric(20, 9),
    cost_usd            numeric(20, 9),
    provider_request_id text,
    partial             text,
    created_at          timestamptz NOT NULL,
    schema_version      smallint    NOT NULL DEFAULT 1,
    PRIMARY KEY (execution_id, id)
) PARTITION BY RANGE (execution_id);

CREATE TABLE events (
    id             uuid        NOT NULL,
    job_id         uuid        NOT NULL,
    tenant         text        NOT NULL COLLATE "C",
    type           text        NOT NULL,
    created_at     timestamptz NOT NULL,
    schema_version smallint    NOT NULL DEFAULT 1,
    PRIMARY KEY (job_id, id)
) PARTITION BY RANGE (job_id);

CREATE TABLE requests_default PARTITION OF requests DEFAULT;
CREATE TABLE results_default PARTITION OF results DEFAULT;
CREATE TABLE jobs_default PARTITION OF jobs DEFAULT;
CREATE TABLE calls_default PARTITION OF calls DEFAULT;
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- A row is a live execution. dedupe_key is the hash, or the execution's own id
-- when nobody may attach. deadline is the earliest of its live jobs, stop_at
-- the latest. visible_at is infinity while it is released.
CREATE TABLE queue (
    id             uuid        NOT NULL PRIMARY KEY,
    tenant         text        NOT NULL COLLATE "C",
    dedupe_key     text        NOT NULL COLLATE "C",
    hash           text        NOT NULL COLLATE "C",
    route          text        NOT NULL COLLATE "C",
    target         integer     NOT NULL DEFAULT 0,
    priority       smallint    NOT NULL,
    fence          bigint      NOT NULL DEFAULT 0,
    tries          integer     NOT NULL DEFAULT 0,
    crashes        integer     NOT NULL DEFAULT 0,
    cost           bigint      NOT NULL,
    deadline       timestamptz NOT NULL,
    stop_at        timestamptz NOT NULL,
    visible_at     timestamptz NOT NULL DEFAULT 'epoch',
    waiting_on     text        NOT NULL DEFAULT '',
    payer_job_id   uuid        NOT NULL,
    no_store       boolean     NOT NULL,
    settling       boolean     NOT NULL DEFAULT false,
    provider       text        NOT NULL DEFAULT '',
    started_at     timestamptz,
    schema_version smallint    NOT NULL DEFAULT 1
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 500, autovacuum_vacuum_cost_delay = 0);

-- The hash first: with the tenant first a planner scans the biggest tenant.
CREATE UNIQUE INDEX queue_dedupe ON queue (dedupe_key, tenant);
CREATE INDEX queue_order ON queue (route, priority, tenant, deadline, id);
CREATE INDEX queue_settling ON queue (id) WHERE settling;

-- A row exists exactly while an execution is released or running, so that the
-- table is as small as the window. worker is null until it is claimed.
CREATE TABLE releases (
    execution_id   uuid        NOT NULL PRIMARY KEY,
    fence          bigint      NOT NULL,
    provider       text        NOT NULL,
    model          text        NOT NULL,
    priority       smallint    NOT NULL,
    tenant         text        NOT NULL COLLATE "C",
    released_at    timestamptz NOT NULL,
    worker         uuid,
    call_id        uuid,
    claimed_at     timestamptz,
    schema_version smallint    NOT NULL DEFAULT 1
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 500, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE live_jobs (
    execution_id   uuid        NOT NULL,
    job_id         uuid        NOT NULL,
    tenant         text        NOT NULL COLLATE "C",
    priority       smallint    NOT NULL,
    deadline       timestamptz NOT NULL,
    schema_version smallint    NOT NULL DEFAULT 1,
    PRIMARY KEY (execution_id, job_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 500, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX live_jobs_deadline ON live_jobs (deadline);

CREATE TABLE idempotency (
    key            text        NOT NULL COLLATE "C",
    tenant         text        NOT NULL COLLATE "C",
    fingerprint    bytea       NOT NULL,
    job_id         uuid        NOT NULL,
    created_at     timestamptz NOT NULL,
    schema_version smallint    NOT NULL DEFAULT 1,
    PRIMARY KEY (key, tenant)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX idempotency_created ON idempotency (created_at);

-- Beats count over all workers, so that one that comes back is not taken for
-- what it was.
CREATE SEQUENCE worker_beats;

CREATE TABLE workers (
    id             uuid     NOT NULL PRIMARY KEY,
    name           text     NOT NULL,
    beat           bigint   NOT NULL,
    schema_version smallint NOT NULL DEFAULT 1
) WITH (fillfactor = 50);

CREATE TABLE leases (
    name       text        NOT NULL PRIMARY KEY,
    holder     uuid        NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);
