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
package postgres
