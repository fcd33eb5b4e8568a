-- What a job is for; empty: it did not say. An execution is for what the job is
-- that made it.
ALTER TABLE jobs ADD COLUMN use_case text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN use_case text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE releases ADD COLUMN use_case text COLLATE "C" NOT NULL DEFAULT '';

-- What is ready is looked at by use case. A dispatcher of the schema before this one
-- reads more of the queue: right, but slower until it is replaced.
DROP INDEX queue_ready;
CREATE INDEX queue_ready ON queue (route, use_case, priority, tenant, deadline, id) WHERE parked_until IS NULL;
DROP INDEX queue_degradable;
CREATE INDEX queue_degradable ON queue (route, use_case, priority, tenant, deadline, id)
    WHERE parked_until IS NULL AND degradable;

-- Takes the place of flows, which programs from before this schema still write: it
-- is dropped by a later one.
CREATE UNLOGGED TABLE backlogs (
    tenant     text             NOT NULL COLLATE "C",
    route      text             NOT NULL COLLATE "C",
    use_case   text             NOT NULL COLLATE "C",
    low        boolean          NOT NULL,
    pool       text             NOT NULL COLLATE "C",
    rate       double precision NOT NULL,
    run_us     bigint           NOT NULL,
    queued     bigint           NOT NULL,
    waiting_on text             NOT NULL,
    until      timestamptz      NOT NULL,
    PRIMARY KEY (tenant, route, use_case, low)
) WITH (fillfactor = 50);

CREATE INDEX backlogs_pool ON backlogs (pool);
