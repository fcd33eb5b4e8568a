-- What a job wants when no target of its route can be called: 0 waits, 1 fails,
-- 2 degrades. degraded says that its answer is one that only 2 allows.
ALTER TABLE jobs ADD COLUMN on_unavailable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN degraded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN degraded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE releases ADD COLUMN degraded INTEGER NOT NULL DEFAULT 0;

-- unserved_route is set while something is to be done for the job when no target
-- of that route can be called.
ALTER TABLE live_jobs ADD COLUMN on_unavailable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE live_jobs ADD COLUMN unserved_route TEXT NOT NULL DEFAULT '';
CREATE INDEX live_jobs_unserved ON live_jobs (unserved_route, job_id) WHERE unserved_route > '';

-- degradable says that all live jobs would degrade. It tells where to look: what
-- the jobs themselves say decides.
ALTER TABLE queue ADD COLUMN degradable INTEGER NOT NULL DEFAULT 0;
CREATE INDEX queue_degradable ON queue (route, priority, tenant, deadline, id) WHERE parked_until = 0 AND degradable;
