-- What a job wants when no target of its route can be called: 0 waits, 1 fails,
-- 2 degrades. degraded says that its answer is one that only 2 allows.
ALTER TABLE jobs ADD COLUMN on_unavailable smallint NOT NULL DEFAULT 0, ADD COLUMN degraded boolean NOT NULL DEFAULT false;
ALTER TABLE results ADD COLUMN degraded boolean NOT NULL DEFAULT false;
ALTER TABLE releases ADD COLUMN degraded boolean NOT NULL DEFAULT false;

-- unserved_route is set while something is to be done for the job when no target
-- of that route can be called.
ALTER TABLE live_jobs ADD COLUMN on_unavailable smallint NOT NULL DEFAULT 0, ADD COLUMN unserved_route text COLLATE "C";
CREATE INDEX live_jobs_unserved ON live_jobs (unserved_route, job_id) WHERE unserved_route IS NOT NULL;

-- degradable says that all live jobs would degrade. It tells where to look: what
-- the jobs themselves say decides.
ALTER TABLE queue ADD COLUMN degradable boolean NOT NULL DEFAULT false;
CREATE INDEX queue_degradable ON queue (route, priority, tenant, deadline, id) WHERE parked_until IS NULL AND degradable;
