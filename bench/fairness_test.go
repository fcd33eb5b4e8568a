package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// bigTenant has so many jobs queued when two of smallTenant each come.
	bigTenant, smallTenant = 20_000, 200
	// headStart is how long the big one has the places for itself, and watched how
	// long the jobs that finish are counted from then on.
	headStart, watched = 3 * time.Second, 30 * time.Second
)

// BenchmarkFairness: fifty places for calls of half a second, a tenant with
// 20,000 jobs queued, and two that come with 200 each: how long these take, as
// against alone, and how much is done in all, as against one tenant having it all.
// The places are what there is too little of, not the processors.
func BenchmarkFairness(b *testing.B) {
	var alone, fair float64
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			store := startFair(b, 0)
			small(b, store)
			alone = smallTook(b, store, begun(b, store))
			b.ReportMetric(alone, "small-s")
		}
	})
	b.Run("beside", func(b *testing.B) {
		for b.Loop() {
			store := startFair(b, bigTenant)
			came := time.Now()
			small(b, store)
			fair = finishedRate(b, store, came)
			took := smallTook(b, store, came)
			b.ReportMetric(took, "small-s")
			b.ReportMetric(took/alone, "times-alone")
			b.ReportMetric(fair, "jobs/s")
		}
	})
	b.Run("unfair", func(b *testing.B) {
		for b.Loop() {
			store := startFair(b, bigTenant+2*smallTenant)
			unfair := finishedRate(b, store, time.Now())
			b.ReportMetric(unfair, "jobs/s")
			b.ReportMetric(fair/unfair, "fair/unfair")
		}
	})
}

// startFair starts an API and a worker over a backlog of one tenant, if it is to
// have one, and returns when the tenant has had its head start.
func startFair(b *testing.B, queued int) *pgx.Conn {
	b.Helper()
	faults := filepath.Join(b.TempDir(), "faults.json")
	if err := os.WriteFile(faults, []byte(`{"latency": "500ms", "output_tokens": {"min": 1, "max": 1}}`), 0o600); err != nil {
		b.Fatal(err)
	}
	env := fleetEnv(b, fmt.Sprintf(`
providers: {sim: {type: simulated, faults: %q, concurrency: 50}}
routes: {default: {targets: [sim/sim-1]}}
`, faults))
	startProcess(b, "api", env)
	store, err := pgx.Connect(b.Context(), envOf(env, "PENSTOCK_DATABASE_URL"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close(context.Background()) })
	fill(b, store, queued, `'big'`)
	startProcess(b, "worker", env)
	if queued > 0 {
		begun(b, store)
		<-time.After(headStart)
	}
	return store
}

// begun waits until a job runs and returns since when.
func begun(b *testing.B, store *pgx.Conn) time.Time {
	b.Helper()
	return waitFor(b, store, `SELECT min(started_at) FROM queue`)
}

// waitFor asks until the answer is a time.
func waitFor(b *testing.B, store *pgx.Conn, query string) time.Time {
	b.Helper()
	for {
		var at *time.Time
		if err := store.QueryRow(b.Context(), query).Scan(&at); err != nil {
			b.Fatal(err)
		}
		if at != nil {
			return *at
		}
		<-time.After(20 * time.Millisecond)
	}
}

// small lets the two small tenants come.
func small(b *testing.B, store *pgx.Conn) {
	b.Helper()
	fill(b, store, 2*smallTenant, `'small-' || n % 2`)
}

// smallTook returns how many seconds it took from then until the small ones were
// done.
func smallTook(b *testing.B, store *pgx.Conn, from time.Time) float64 {
	b.Helper()
	return waitFor(b, store, fmt.Sprintf(`
		SELECT CASE WHEN count(*) = %d THEN max(finished_at) END FROM results WHERE tenant LIKE 'small-%%'`,
		2*smallTenant)).Sub(from).Seconds()
}

// finishedRate waits and returns how many jobs a second finished meanwhile.
func finishedRate(b *testing.B, store *pgx.Conn, from time.Time) float64 {
	b.Helper()
	<-time.After(time.Until(from.Add(watched)))
	var n int
	err := store.QueryRow(b.Context(), `SELECT count(*) FROM results WHERE finished_at BETWEEN $1 AND $2`,
		from, from.Add(watched)).Scan(&n)
	if err != nil {
		b.Fatal(err)
	}
	return float64(n) / watched.Seconds()
}
