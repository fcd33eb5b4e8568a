-- parked_until is set while an execution waits for a time: when it was given
-- back, that was its visible_at.
ALTER TABLE queue ADD COLUMN parked_until INTEGER NOT NULL DEFAULT 0;

CREATE INDEX queue_parked ON queue (parked_until) WHERE parked_until > 0;

-- What waits for a time is not in the way of what does not.
DROP INDEX queue_order;
CREATE INDEX queue_ready ON queue (route, priority, tenant, deadline, id) WHERE parked_until = 0;
