// Package testenv gives a test a real Redis or Postgres of its own. Only tests
// import it.
//
// [Postgres] and [Redis] share the servers that scripts/with-servers.sh starts
// or was told of: a database each, so that tests run side by side.
// [PostgresServer] and [RedisServer] start a private process, for tests that
// stop, kill or empty it. [NewProxy] is the network in front of a server, for
// tests that cut it.
//
// A server that is missing fails the test, with a message that says what to do:
// nothing is skipped.
package testenv

import (
	"os"
	"testing"
	"time"
)

// The variables that name the shared servers.
const (
	postgresVariable = "PENSTOCK_TEST_POSTGRES_URL"
	redisVariable    = "PENSTOCK_TEST_REDIS_URL"
)

// patience bounds every wait for a server. It is long because the machine may
// be busy with many tests; a healthy server takes milliseconds.
const patience = time.Minute

// serverURL returns the value of variable, or fails tbb with what to do.
func serverURL(tb testing.TB, variable string) string {
	tb.Helper()
	value := os.Getenv(variable)
	if value == "" {
		tb.Fatalf("%s is not set: run `make test`, or `scripts/with-servers.sh go test ./…`, or set it to a server's URL",
			variable)
	}
	return value
}
