-- What lanes must not lose with Redis: gates, operators' limits and holds, and
-- breakers that are open with whoever probes them. An empty target is the whole
-- pool. All of it is small, and read only when Redis was emptied.
CREATE TABLE lane_pools (
    pool                     text        NOT NULL COLLATE "C" PRIMARY KEY,
    gate_until               timestamptz NOT NULL DEFAULT 'epoch',
    limited                  boolean     NOT NULL DEFAULT false,
    requests_per_minute      bigint      NOT NULL DEFAULT 0,
    input_tokens_per_minute  bigint      NOT NULL DEFAULT 0,
    output_tokens_per_minute bigint      NOT NULL DEFAULT 0,
    concurrency              bigint      NOT NULL DEFAULT 0,
    schema_version           smallint    NOT NULL DEFAULT 1
) WITH (fillfactor = 50);

CREATE TABLE lane_holds (
    pool           text     NOT NULL COLLATE "C",
    target         text     NOT NULL COLLATE "C",
    hold           text     NOT NULL,
    schema_version smallint NOT NULL DEFAULT 1,
    PRIMARY KEY (pool, target)
);

CREATE TABLE lane_breakers (
    pool           text        NOT NULL COLLATE "C",
    target         text        NOT NULL COLLATE "C",
    opening        integer     NOT NULL,
    open_until     timestamptz NOT NULL,
    prober         uuid,
    probe_until    timestamptz NOT NULL DEFAULT 'epoch',
    schema_version smallint    NOT NULL DEFAULT 1,
    PRIMARY KEY (pool, target)
) WITH (fillfactor = 50);
