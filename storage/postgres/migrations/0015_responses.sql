-- Whether the end of a job is told as that of a response, too, and whether an answer ended
-- at a bound of its request. A program of the schema before this one does not tell of it.
ALTER TABLE jobs ADD COLUMN response boolean NOT NULL DEFAULT false;
ALTER TABLE live_jobs ADD COLUMN response boolean NOT NULL DEFAULT false;
ALTER TABLE results ADD COLUMN incomplete boolean NOT NULL DEFAULT false;
