-- What a statement calls that finds that others have changed what it read: its transaction
-- is broken off as the database breaks off one of two that cannot be told apart from
-- neither having run, and is run again.
CREATE FUNCTION break_off(why text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = why;
END
$$;
