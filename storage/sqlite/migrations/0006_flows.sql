-- How the backlogs of tenants move, as the dispatcher sees it: what position and
-- eta are reckoned with. The dispatcher writes all of it anew every few seconds.
CREATE TABLE flows (
    tenant     TEXT    NOT NULL,
    route      TEXT    NOT NULL,
    low        INTEGER NOT NULL,
    pool       TEXT    NOT NULL,
    rate       REAL    NOT NULL,
    run_us     INTEGER NOT NULL,
    queued     INTEGER NOT NULL,
    waiting_on TEXT    NOT NULL,
    until      INTEGER NOT NULL,
    PRIMARY KEY (tenant, route, low)
) STRICT, WITHOUT ROWID;
