-- What lanes must not lose with Redis: gates, operators' limits and holds, and
-- breakers that are open with whoever probes them. An empty target is the whole
-- pool.
CREATE TABLE lane_pools (
    pool                     TEXT    NOT NULL PRIMARY KEY,
    gate_until               INTEGER NOT NULL DEFAULT 0,
    limited                  INTEGER NOT NULL DEFAULT 0,
    requests_per_minute      INTEGER NOT NULL DEFAULT 0,
    input_tokens_per_minute  INTEGER NOT NULL DEFAULT 0,
    output_tokens_per_minute INTEGER NOT NULL DEFAULT 0,
    concurrency              INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE lane_holds (
    pool   TEXT NOT NULL,
    target TEXT NOT NULL,
    hold   TEXT NOT NULL,
    PRIMARY KEY (pool, target)
) STRICT, WITHOUT ROWID;

CREATE TABLE lane_breakers (
    pool        TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    opening     INTEGER NOT NULL,
    open_until  INTEGER NOT NULL,
    prober      BLOB,
    probe_until INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pool, target)
) STRICT, WITHOUT ROWID;
