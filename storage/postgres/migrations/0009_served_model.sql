-- What the provider says answered the call; null where it did not say.
ALTER TABLE calls ADD COLUMN served_model text;
