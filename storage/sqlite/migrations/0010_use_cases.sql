-- What a job is for; empty: it did not say. An execution is for what the job is
-- that made it.
ALTER TABLE jobs ADD COLUMN use_case TEXT NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN use_case TEXT NOT NULL DEFAULT '';
ALTER TABLE releases ADD COLUMN use_case TEXT NOT NULL DEFAULT '';

-- What is ready is looked at by use case.
DROP INDEX queue_ready;
CREATE INDEX queue_ready ON queue (route, use_case, priority, tenant, deadline, id) WHERE parked_until = 0;
DROP INDEX queue_degradable;
CREATE INDEX queue_degradable ON queue (route, use_case, priority, tenant, deadline, id)
    WHERE parked_until = 0 AND degradable;

-- Takes the place of flows, by use case.
DROP TABLE flows;
CREATE TABLE backlogs (
    tenant     TEXT    NOT NULL,
    route      TEXT    NOT NULL,
    use_case   TEXT    NOT NULL,
    low        INTEGER NOT NULL,
    pool       TEXT    NOT NULL,
    rate       REAL    NOT NULL,
    run_us     INTEGER NOT NULL,
    queued     INTEGER NOT NULL,
    waiting_on TEXT    NOT NULL,
    until      INTEGER NOT NULL,
    PRIMARY KEY (tenant, route, use_case, low)
) STRICT, WITHOUT ROWID;

CREATE INDEX backlogs_pool ON backlogs (pool);
