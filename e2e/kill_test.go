package e2e

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

const inFlight = 500

// slow is a provider whose calls take about 300 ms.
const slow = `{"latency": "250ms", "sigma": 0.3, "per_token": "5ms"}`

// Invariants 1, 2 and 3: every accepted job ends once, whatever is pulled.
func TestInvariant1KilledWorker(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	ids := f.submitAll(inFlight)
	eventually(t, 20*time.Second, "calls under way", func() bool { return len(f.calls()) > 100 })
	killed := time.Now()
	f.workers[0].kill()
	f.check(ids, f.waitAll(ids))

	first, repeated, latest := map[string]bool{}, 0, time.Duration(0)
	for _, c := range f.calls() {
		if first[c.execution()] {
			repeated++
			latest = max(latest, c.Time.Sub(killed))
		}
		first[c.execution()] = true
	}
	// What was in flight on the killed worker is called again, and nothing else.
	if repeated == 0 || repeated > 40 {
		t.Errorf("%d calls were repeated, want 1 to 40", repeated)
	}
	if latest > 15*time.Second {
		t.Errorf("the last job of the killed worker ran elsewhere after %s, want at most 15 s", latest)
	}
	t.Logf("%d calls repeated, the last of them %s after the kill", repeated, latest.Round(time.Millisecond))
}

func TestInvariant1KilledAPI(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	submitted := make(chan []string)
	go func() { submitted <- f.submitAll(inFlight) }()
	eventually(t, 20*time.Second, "calls under way", func() bool { return len(f.calls()) > 50 })
	f.api.kill()
	f.startAPI()
	ids := <-submitted
	f.check(ids, f.waitAll(ids))
	if n := len(f.calls()); n != inFlight {
		t.Errorf("%d calls for %d jobs: the death of an API must repeat none", n, inFlight)
	}
}

func TestInvariant1FlushedRedis(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	ids := f.submitAll(inFlight)
	options, err := redis.ParseURL(f.redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	for _, seen := range []int{50, 150, 300} {
		eventually(t, 20*time.Second, "calls under way", func() bool { return len(f.calls()) > seen })
		holdsNoPayload(t, client)
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	f.check(ids, f.waitAll(ids))
}

// holdsNoPayload is invariant 10 for Redis: ids, and a window of them.
func holdsNoPayload(t *testing.T, client *redis.Client) {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 || len(keys) > 200 {
		t.Fatalf("Redis has %d keys (%v), want a small window", len(keys), err)
	}
	for _, key := range keys {
		dump, err := client.Dump(t.Context(), key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		if strings.Contains(dump, prompt) || strings.Contains(dump, secret) {
			t.Errorf("the key %s holds a prompt or a key", key)
		}
	}
}

func TestInvariant1EverythingAtOnce(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	submitted := make(chan []string)
	go func() { submitted <- f.submitAll(inFlight) }()
	eventually(t, 20*time.Second, "calls under way", func() bool { return len(f.calls()) > 100 })
	f.workers[1].kill()
	f.redis.Kill()
	f.api.kill()
	f.redis.Restart()
	f.startAPI()
	f.startWorker()
	ids := <-submitted
	f.check(ids, f.waitAll(ids))
}

// check proves of every accepted job that it succeeded, once, and that a second
// look finds the same.
func (f *fleet) check(ids []string, ended map[string]job) {
	f.t.Helper()
	if unique := len(slices.Compact(slices.Sorted(slices.Values(ids)))); unique != len(ids) {
		f.t.Errorf("%d ids for %d submissions", unique, len(ids))
	}
	for id, j := range ended {
		if j.Status != "succeeded" || len(j.Result) == 0 {
			f.t.Errorf("job %s: %s %v", id, j.Status, j.Error)
		}
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	defer cancel()
	db, err := pgx.Connect(ctx, f.database)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close(ctx)
	for what, query := range map[string]string{
		"jobs":                  `select count(*) - $1 from jobs`,
		"events":                `select count(*) - $1 from events`,
		"jobs with one event":   `select count(distinct job_id) - $1 from events`,
		"live executions":       `select count(*) from queue where $1 > 0`,
		"releases":              `select count(*) from releases where $1 > 0`,
		"unfinished jobs":       `select count(*) from live_jobs where $1 > 0`,
		"jobs without an event": `select count(*) from jobs j where $1 > 0 and not exists (select from events e where e.job_id = j.id)`,
	} {
		var off int
		if err := db.QueryRow(ctx, query, len(ids)).Scan(&off); err != nil || off != 0 {
			f.t.Errorf("%s: off by %d (%v)", what, off, err)
		}
	}
	for _, p := range append(f.workers, f.api) {
		if log := p.log.String(); strings.Contains(log, prompt) || strings.Contains(log, secret) {
			f.t.Error("invariant 10: a log holds a prompt or a key")
		}
	}
}

// Invariant 1 for the embedded process: killed and started again on its data.
func TestInvariant1KilledEmbedded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/faults.json", slow)
	write(t, dir+"/penstock.yaml", `
providers: {sim: {type: simulated, faults: `+dir+`/faults.json, concurrency: 20}}
routes: {default: {targets: [sim/sim-1]}}
`)
	f := &fleet{t: t, apiAddr: freeAddr(t), client: &http.Client{Timeout: 10 * time.Second}}
	t.Cleanup(f.client.CloseIdleConnections)
	env := []string{
		"PENSTOCK_CONFIG=" + dir + "/penstock.yaml", "PENSTOCK_DATA_DIR=" + dir + "/data", "PENSTOCK_ADDR=" + f.apiAddr,
	}
	first := start(t, env, "api", "-embedded")
	ready(t, f.apiAddr)
	ids := f.submitAll(200)
	eventually(t, 20*time.Second, "some answers", func() bool {
		j, err := f.do(http.MethodGet, "/v1/jobs/"+ids[40], "")
		return err == nil && j.done()
	})
	first.kill()
	start(t, env, "api", "-embedded")
	ready(t, f.apiAddr)
	for id, j := range f.waitAll(ids) {
		if j.Status != "succeeded" || len(j.Result) == 0 {
			t.Errorf("job %s: %s %v", id, j.Status, j.Error)
		}
	}
}
