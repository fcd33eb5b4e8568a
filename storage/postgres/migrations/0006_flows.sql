-- How the backlogs of tenants move, as the dispatcher sees it: what position and
-- eta are reckoned with. The dispatcher writes all of it anew every few seconds;
-- what a crash takes with it is soon there again.
CREATE UNLOGGED TABLE flows (
    tenant     text             NOT NULL COLLATE "C",
    route      text             NOT NULL COLLATE "C",
    low        boolean          NOT NULL,
    pool       text             NOT NULL COLLATE "C",
    rate       double precision NOT NULL,
    run_us     bigint           NOT NULL,
    queued     bigint           NOT NULL,
    waiting_on text             NOT NULL,
    until      timestamptz      NOT NULL,
    PRIMARY KEY (tenant, route, low)
) WITH (fillfactor = 50);

CREATE INDEX flows_pool ON flows (pool);
