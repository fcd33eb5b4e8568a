-- The execution whose result answers a job whose own execution brought none;
-- null: its own.
ALTER TABLE jobs ADD COLUMN answer_of uuid;
CREATE INDEX jobs_answer_of ON jobs (answer_of) WHERE answer_of IS NOT NULL;

-- A result that finished after this may answer the job if its execution brings
-- none; null: no other may.
ALTER TABLE live_jobs ADD COLUMN stale_after timestamptz;
