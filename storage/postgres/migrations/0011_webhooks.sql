-- Where a job itself wants its end told, and the endpoint that stands for it. A program
-- of the schema before this one ends jobs without making deliveries.
ALTER TABLE jobs ADD COLUMN webhook_url text, ADD COLUMN webhook_endpoint uuid;
-- webhook says that the job has one.
ALTER TABLE live_jobs ADD COLUMN webhook boolean NOT NULL DEFAULT false;

-- An endpoint is changed by its tenant, and once by a courier that disables it. What
-- couriers write all the time is apart from it, in webhook_states.
CREATE TABLE webhook_endpoints (
    id             uuid        NOT NULL PRIMARY KEY,
    tenant         text        NOT NULL COLLATE "C",
    url            text        NOT NULL,
    description    text        NOT NULL,
    types          text[]      NOT NULL COLLATE "C",
    metadata       jsonb       NOT NULL,
    timeout_us     bigint      NOT NULL,
    per_minute     integer     NOT NULL,
    concurrency    integer     NOT NULL,
    schedule_us    bigint[]    NOT NULL,
    header         jsonb       NOT NULL,
    include_result boolean     NOT NULL,
    disabled       text        NOT NULL,
    per_job        boolean     NOT NULL,
    version        bigint      NOT NULL,
    created_at     timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL,
    schema_version smallint    NOT NULL DEFAULT 1
) WITH (fillfactor = 70);

CREATE INDEX webhook_endpoints_tenant ON webhook_endpoints (tenant, per_job, created_at, id);

-- How an endpoint fares, and which courier holds it until when. resume_at is what state
-- says of it.
CREATE TABLE webhook_states (
    endpoint_id    uuid        NOT NULL PRIMARY KEY,
    holder         uuid,
    held_until     timestamptz NOT NULL DEFAULT '-infinity',
    resume_at      timestamptz NOT NULL DEFAULT '-infinity',
    state          jsonb       NOT NULL DEFAULT '{}',
    schema_version smallint    NOT NULL DEFAULT 1
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0);

-- owner is an endpoint, or what stands for all webhooks of a tenant's jobs.
CREATE TABLE webhook_secrets (
    id             uuid        NOT NULL PRIMARY KEY,
    tenant         text        NOT NULL COLLATE "C",
    owner          uuid        NOT NULL,
    key            text        NOT NULL,
    key_id         uuid,
    public_key     text        NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz,
    schema_version smallint    NOT NULL DEFAULT 1
);

CREATE INDEX webhook_secrets_owner ON webhook_secrets (owner, created_at, id);
CREATE INDEX webhook_secrets_expiry ON webhook_secrets (expires_at) WHERE expires_at IS NOT NULL;

-- Endpoints that are gone, until nothing is left of what went to them.
CREATE TABLE webhook_removals (
    endpoint_id    uuid        NOT NULL PRIMARY KEY,
    schema_version smallint    NOT NULL DEFAULT 1
);

-- Events that are of no job.
CREATE TABLE webhook_events (
    id             uuid        NOT NULL PRIMARY KEY,
    tenant         text        NOT NULL COLLATE "C",
    type           text        NOT NULL COLLATE "C",
    data           bytea       NOT NULL,
    created_at     timestamptz NOT NULL,
    schema_version smallint    NOT NULL DEFAULT 1
);

CREATE INDEX webhook_events_created ON webhook_events (created_at);

-- A replay has looked at the deliveries up to the id reached. open says that it has not
-- ended, or that it was cancelled and something of it may still be pending.
CREATE TABLE webhook_replays (
    id             uuid        NOT NULL PRIMARY KEY,
    tenant         text        NOT NULL COLLATE "C",
    endpoint_id    uuid        NOT NULL,
    since          timestamptz NOT NULL,
    until          timestamptz,
    statuses       text[]      NOT NULL COLLATE "C",
    types          text[]      NOT NULL COLLATE "C",
    status         text        NOT NULL CHECK (status IN ('running', 'finished', 'cancelled')),
    open           boolean     NOT NULL DEFAULT true,
    reached        uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    total          bigint      NOT NULL,
    queued         bigint      NOT NULL DEFAULT 0,
    delivered      bigint      NOT NULL DEFAULT 0,
    failed         bigint      NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL,
    finished_at    timestamptz,
    schema_version smallint    NOT NULL DEFAULT 1
) WITH (fillfactor = 70);

CREATE INDEX webhook_replays_endpoint ON webhook_replays (endpoint_id, created_at, id);
CREATE INDEX webhook_replays_open ON webhook_replays (id) WHERE open;

-- A delivery is in one of two tables: here as long as it is pending, so that this one is
-- as small as what is to be sent, and in deliveries when it has finished. queue is the
-- endpoint, by which what is due is found, and endpoint_id finds all else: so a plan that
-- was made when there was nothing does not take one index for the other. first_due_at is
-- when it was due when it was last made pending, and again the endpoint if it is due
-- later than that: it was attempted. What a replay has made pending says in
-- was_… what it was before.
CREATE TABLE pending_deliveries (
    id              uuid        NOT NULL,
    tenant          text        NOT NULL COLLATE "C",
    endpoint_id     uuid        NOT NULL,
    queue           uuid        NOT NULL GENERATED ALWAYS AS (endpoint_id) STORED,
    event_id        uuid        NOT NULL,
    job_id          uuid,
    type            text        NOT NULL COLLATE "C",
    url             text        NOT NULL,
    trigger         text        NOT NULL,
    bulk            boolean     NOT NULL,
    replay_id       uuid,
    attempts        integer     NOT NULL,
    step            integer     NOT NULL,
    thin            boolean     NOT NULL,
    due_at          timestamptz NOT NULL,
    first_due_at    timestamptz NOT NULL,
    again           uuid        GENERATED ALWAYS AS (CASE WHEN due_at > first_due_at THEN endpoint_id END) STORED,
    created_at      timestamptz NOT NULL,
    was_status      text,
    was_trigger     text,
    was_replay_id   uuid,
    was_step        integer,
    was_finished_at timestamptz,
    schema_version  smallint    NOT NULL DEFAULT 1,
    PRIMARY KEY (endpoint_id, id)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 500, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX pending_deliveries_due ON pending_deliveries (queue, bulk, due_at, id);
CREATE INDEX pending_deliveries_again ON pending_deliveries (again) WHERE again IS NOT NULL;
CREATE INDEX pending_deliveries_job ON pending_deliveries (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX pending_deliveries_event ON pending_deliveries (event_id) WHERE job_id IS NULL;
CREATE INDEX pending_deliveries_replay ON pending_deliveries (replay_id) WHERE replay_id IS NOT NULL;

-- Cold tables, by the week of the event: see 0001.
CREATE TABLE deliveries (
    id             uuid        NOT NULL PRIMARY KEY,
    tenant         text        NOT NULL COLLATE "C",
    endpoint_id    uuid        NOT NULL,
    event_id       uuid        NOT NULL,
    job_id         uuid,
    type           text        NOT NULL COLLATE "C",
    url            text        NOT NULL,
    status         text        NOT NULL COLLATE "C" CHECK (status IN ('delivered', 'failed', 'skipped')),
    trigger        text        NOT NULL,
    replay_id      uuid,
    attempts       integer     NOT NULL,
    step           integer     NOT NULL,
    thin           boolean     NOT NULL,
    created_at     timestamptz NOT NULL,
    finished_at    timestamptz NOT NULL,
    schema_version smallint    NOT NULL DEFAULT 1
) PARTITION BY RANGE (id);

CREATE INDEX deliveries_endpoint ON deliveries (endpoint_id, id);
CREATE INDEX deliveries_undelivered ON deliveries (endpoint_id, status, id) WHERE status <> 'delivered';
CREATE INDEX deliveries_job ON deliveries (job_id);

CREATE TABLE delivery_bodies (
    delivery_id    uuid     NOT NULL PRIMARY KEY,
    tenant         text     NOT NULL COLLATE "C",
    body           bytea    NOT NULL,
    key_id         uuid,
    schema_version smallint NOT NULL DEFAULT 1
) PARTITION BY RANGE (delivery_id);

CREATE TABLE delivery_attempts (
    delivery_id    uuid        NOT NULL,
    n              integer     NOT NULL,
    tenant         text        NOT NULL COLLATE "C",
    endpoint_id    uuid        NOT NULL,
    trigger        text        NOT NULL,
    at             timestamptz NOT NULL,
    verdict        smallint    NOT NULL,
    failure        text        NOT NULL,
    http_status    integer     NOT NULL,
    retry_after_us bigint      NOT NULL,
    latency_us     bigint      NOT NULL,
    remote_addr    text        NOT NULL,
    answer         bytea,
    key_id         uuid,
    status         text        NOT NULL,
    step           integer     NOT NULL,
    due_at         timestamptz,
    thin           boolean     NOT NULL,
    schema_version smallint    NOT NULL DEFAULT 1,
    PRIMARY KEY (delivery_id, n)
) PARTITION BY RANGE (delivery_id);

CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT;
CREATE TABLE delivery_bodies_default PARTITION OF delivery_bodies DEFAULT;
CREATE TABLE delivery_attempts_default PARTITION OF delivery_attempts DEFAULT;
