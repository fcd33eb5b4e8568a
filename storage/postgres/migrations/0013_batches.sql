-- The batch that a job is of; null: of none. A program of the schema before this one makes
-- deliveries of the end of a batch's job.
ALTER TABLE jobs ADD COLUMN batch_id uuid;
CREATE INDEX jobs_batch ON jobs (batch_id, id) WHERE batch_id IS NOT NULL;
-- batch says that the job is of one.
ALTER TABLE live_jobs ADD COLUMN batch boolean NOT NULL DEFAULT false;

-- holder has the batch until held_until. seq is the last that a line was given. open is the
-- id of one that has not ended, reads is its input then: so a plan that was made when there
-- was nothing does not take one index for another.
CREATE TABLE batches (
    id               uuid             NOT NULL PRIMARY KEY,
    open             uuid             GENERATED ALWAYS AS (CASE WHEN ended_at IS NULL THEN id END) STORED,
    tenant           text             NOT NULL COLLATE "C",
    endpoint         text             NOT NULL,
    input_file       uuid             NOT NULL,
    reads            uuid             GENERATED ALWAYS AS (CASE WHEN ended_at IS NULL THEN input_file END) STORED,
    output_file      uuid             NOT NULL,
    error_file       uuid             NOT NULL,
    status           text             NOT NULL COLLATE "C" CHECK (status IN (
        'validating', 'failed', 'in_progress', 'finalizing', 'completed', 'expired', 'cancelling', 'cancelled')),
    paused           boolean          NOT NULL DEFAULT false,
    policy           jsonb            NOT NULL,
    metadata         jsonb,
    time_window      text             NOT NULL,
    output_ttl_us    bigint           NOT NULL,
    created_at       timestamptz      NOT NULL,
    deadline         timestamptz      NOT NULL,
    started_at       timestamptz,
    finalizing_at    timestamptz,
    cancelling_at    timestamptz,
    ended_at         timestamptz,
    lines_read       integer          NOT NULL DEFAULT 0,
    bytes_read       bigint           NOT NULL DEFAULT 0,
    problems         jsonb,
    problem_count    integer          NOT NULL DEFAULT 0,
    total            integer          NOT NULL DEFAULT 0,
    pending          integer          NOT NULL DEFAULT 0,
    live             integer          NOT NULL DEFAULT 0,
    succeeded        integer          NOT NULL DEFAULT 0,
    failed           integer          NOT NULL DEFAULT 0,
    cancelled        integer          NOT NULL DEFAULT 0,
    expired          integer          NOT NULL DEFAULT 0,
    deduplicated     integer          NOT NULL DEFAULT 0,
    input_tokens     bigint,
    output_tokens    bigint,
    cached_tokens    bigint,
    reasoning_tokens bigint,
    cost_usd         numeric          NOT NULL DEFAULT 0,
    rate             double precision NOT NULL DEFAULT 0,
    seq              bigint           NOT NULL DEFAULT 0,
    repeat_key       text             COLLATE "C",
    fingerprint      bytea            NOT NULL,
    holder           uuid,
    held_until       timestamptz      NOT NULL DEFAULT '-infinity',
    schema_version   smallint         NOT NULL DEFAULT 1
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0);

CREATE INDEX batches_list ON batches (tenant, id);
CREATE INDEX batches_open ON batches (open) WHERE open IS NOT NULL;
CREATE INDEX batches_reads ON batches (reads) WHERE reads IS NOT NULL;
CREATE INDEX batches_repeat ON batches (repeat_key, tenant, id) WHERE repeat_key IS NOT NULL;

-- A line is at so many bytes in the input. seq is its place among those that have ended.
-- What ends in _of is the batch's id as long as the line is of that kind.
CREATE TABLE batch_lines (
    batch_id       uuid     NOT NULL,
    n              integer  NOT NULL,
    custom_id      text     NOT NULL COLLATE "C",
    at_byte        bigint   NOT NULL,
    length         integer  NOT NULL,
    hash           bytea    NOT NULL,
    repeats        boolean  NOT NULL,
    state          text     NOT NULL DEFAULT 'pending' COLLATE "C" CHECK (state IN (
        'pending', 'live', 'withdrawn', 'succeeded', 'failed', 'cancelled', 'expired')),
    round          integer  NOT NULL DEFAULT 0,
    attempt        integer  NOT NULL DEFAULT 0,
    job_id         uuid,
    code           text,
    seq            bigint,
    pending_of     uuid     GENERATED ALWAYS AS (CASE WHEN state = 'pending' THEN batch_id END) STORED,
    live_of        uuid     GENERATED ALWAYS AS (CASE WHEN state IN ('live', 'withdrawn') THEN batch_id END) STORED,
    ended_of       uuid     GENERATED ALWAYS AS (CASE WHEN seq IS NOT NULL THEN batch_id END) STORED,
    unanswered_of  uuid     GENERATED ALWAYS AS (
        CASE WHEN state IN ('failed', 'cancelled', 'expired') THEN batch_id END) STORED,
    schema_version smallint NOT NULL DEFAULT 1,
    PRIMARY KEY (batch_id, n)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX batch_lines_pending ON batch_lines (pending_of, n) WHERE pending_of IS NOT NULL;
CREATE INDEX batch_lines_live ON batch_lines (live_of, n) WHERE live_of IS NOT NULL;
CREATE INDEX batch_lines_ended ON batch_lines (ended_of, seq) WHERE ended_of IS NOT NULL;
CREATE INDEX batch_lines_unanswered ON batch_lines (unanswered_of, n) WHERE unanswered_of IS NOT NULL;

-- Batches whose lines are to be removed.
CREATE TABLE batch_removals (
    batch_id       uuid     NOT NULL PRIMARY KEY,
    schema_version smallint NOT NULL DEFAULT 1
);
