// Package sqlite is the embedded [jobs.Store]: a SQLite file, used by one
// process.
//
// One connection writes. Writes that come at once are coalesced into one
// transaction, each under a savepoint of its own, and answered when it is
// durable. Several connections read what was committed last.
//
// All times that decide something are arguments or Go's clock, never SQLite's,
// so that a store opened in a testing/synctest bubble lives in the bubble's
// time.
package sqlite
