-- What the provider says answered the call; empty where it did not say.
ALTER TABLE calls ADD COLUMN served_model TEXT NOT NULL DEFAULT '';
