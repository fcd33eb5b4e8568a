-- parked_until is set while an execution waits for a time: when it was given
-- back, that was its visible_at. It is a column of its own because visible_at is
-- in no index, so that releases stay HOT updates.
ALTER TABLE queue ADD COLUMN parked_until timestamptz;

CREATE INDEX queue_parked ON queue (parked_until) WHERE parked_until IS NOT NULL;

-- What waits for a time is not in the way of what does not. A dispatcher of the
-- schema before this one reads the whole queue instead: right, but slow until it
-- is replaced. The index it had must go: as long as the queue is empty a planner
-- takes it for as good as the primary key, and keeps to that when it is not.
DROP INDEX queue_order;
CREATE INDEX queue_ready ON queue (route, priority, tenant, deadline, id) WHERE parked_until IS NULL;
