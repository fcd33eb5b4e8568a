-- Whether the end of a job is told as that of a response, too, and whether an answer ended
-- at a bound of its request.
ALTER TABLE jobs ADD COLUMN response INTEGER NOT NULL DEFAULT 0;
ALTER TABLE results ADD COLUMN incomplete INTEGER NOT NULL DEFAULT 0;
