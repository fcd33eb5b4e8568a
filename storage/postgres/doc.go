// Package postgres keeps jobs in PostgreSQL 14 or later.
//
// History sits in tables partitioned by week; what is live sits in small
// tables beside them (migrations/0001_initial.sql says why). Writes that many
// callers do at once are coalesced: a batch is one transaction of two to four
// round trips, whatever its size, and its SQL is set-based.
//
// # Plans
//
// Plans are kept, and must not hang on what a table held when they were made. A
// join with a list of arguments can be planned either way round, so the table's
// side is bounded too: key = ANY (list). A single row that belongs to another is
// a subselect, or a LATERAL one with OFFSET 0, which is not turned into a join.
//
// # Locks
//
// Every method takes its locks in this order: idempotency records by key, the
// worker's row, executions (rows of queue) by id, then the rest, which nobody
// touches without the execution's lock. Only new queue rows are inserted in
// another order, by dedupe key: nobody can wait for one of those but another
// inserter, in that same order. What a decision needs is read by a statement of
// its own after the lock: the statement that waited still sees the snapshot it
// began with.
//
// After those, and of webhooks alone: endpoints, their states, jobs (for key share, so
// that nobody deletes one meanwhile), pending deliveries by endpoint and id, those that
// have finished, replays. Whoever ends jobs locks none of these: endpoints are read, and
// deliveries inserted, which have no foreign keys. So no courier is waited for, and what
// was made for an endpoint that is disabled or removed meanwhile is swept. A sweep of
// what is disabled leaves alone what others have locked. Going on with a replay is the
// exception: it has the replay first, so that two do not go on with one, and takes of the
// deliveries only those that have finished, which no one has who waits for a replay.
package postgres
