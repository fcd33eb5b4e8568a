package bench

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// BenchmarkBacklog: what a million queued jobs cost those who come and those who
// run, beside a thousand, in one run: posting, dispatching and the processors'
// time for each job. BACKLOG sets the large number, 1,000,000 by default.
func BenchmarkBacklog(b *testing.B) {
	large := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("BACKLOG")); err == nil {
		large = n
	}
	for _, queued := range []int{1000, large} {
		b.Run(fmt.Sprintf("queued=%d", queued), func(b *testing.B) {
			for b.Loop() {
				withBacklog(b, queued)
			}
		})
	}
}

// drained is how many jobs the dispatcher's rate is taken of.
const drained = 5000

func withBacklog(b *testing.B, queued int) {
	b.Helper()
	// One word each, at once: neither the provider nor its places are what is measured.
	faults := filepath.Join(b.TempDir(), "faults.json")
	if err := os.WriteFile(faults, []byte(`{"latency": "1ms", "output_tokens": {"min": 1, "max": 1}}`), 0o600); err != nil {
		b.Fatal(err)
	}
	env := fleetEnv(b, fmt.Sprintf(`
providers: {sim: {type: simulated, faults: %q, concurrency: 64}}
routes: {default: {targets: [sim/sim-1]}}
`, faults))
	database := envOf(env, "PENSTOCK_DATABASE_URL")
	base, api := startProcess(b, "api", env)
	store, err := pgx.Connect(b.Context(), database)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close(context.Background())
	// What is drained comes on top, so that it is queued that stay behind.
	fill(b, store, queued+drained, `'t' || n % 50`)

	var posts latencies
	took := make([]time.Duration, 2000)
	each(len(took), 4, func(i int) {
		started := time.Now()
		post(b, base, fmt.Sprintf("question %d", i))
		took[i] = time.Since(started)
	})
	posts = append(posts, took...)
	posts.report(b, 50, 99)

	_, worker := startProcess(b, "worker", env)
	name := strings.TrimPrefix(must(url.Parse(database)).Path, "/")
	finished := count(b, store)
	cpu := cpuOf(b, api) + cpuOf(b, worker) + cpuOfDatabase(b, name)
	started := time.Now()
	now := finished
	for ; now < finished+drained; now = count(b, store) {
		<-time.After(100 * time.Millisecond)
	}
	jobs := float64(now - finished)
	b.ReportMetric(jobs/time.Since(started).Seconds(), "jobs/s")
	cpu = cpuOf(b, api) + cpuOf(b, worker) + cpuOfDatabase(b, name) - cpu
	b.ReportMetric(1000*cpu.Seconds()/jobs, "cpu-ms/job")
	b.ReportMetric(redisMiB(b, envOf(env, "PENSTOCK_REDIS_URL")), "redis-MiB")
}

func envOf(env []string, key string) (value string) {
	for _, v := range env {
		if after, ok := strings.CutPrefix(v, key+"="); ok {
			value = after
		}
	}
	return value
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// fill puts n jobs into the store as submissions would. tenant says in SQL whose
// number n is.
func fill(b *testing.B, store *pgx.Conn, n int, tenant string) {
	b.Helper()
	for _, statement := range []string{
		`CREATE TEMP TABLE seed AS
			SELECT n, ` + tenant + ` AS tenant, md5(n::text) || md5((-n)::text) AS hash, now() AS at,
				(ms || '7' || substr(a, 1, 3) || '8' || substr(a, 4, 3) || substr(a, 7, 12))::uuid AS execution,
				(ms || '7' || substr(j, 1, 3) || '8' || substr(j, 4, 3) || substr(j, 7, 12))::uuid AS job
			FROM (
				SELECT n, lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') AS ms,
					lpad(to_hex(n), 3, '0') || md5('a' || n) AS a, lpad(to_hex(n), 3, '0') || md5('j' || n) AS j
				FROM generate_series(1, ` + strconv.Itoa(n) + `) AS n
			) s`,
		`INSERT INTO requests (execution_id, tenant, hash, endpoint, route, body, sample, cost, created_at)
			SELECT execution, tenant, hash, '/v1/chat/completions', 'default', convert_to('{"model":"default","messages":'
				|| '[{"role":"user","content":"' || repeat('lorem ipsum ', 20) || n || '"}]}', 'UTF8'), 0, 100, at FROM seed`,
		`INSERT INTO jobs (id, tenant, execution_id, status, endpoint, model, priority, deadline, created_at, hash,
				deduplicated, cached, end_user)
			SELECT job, tenant, execution, 'queued', '/v1/chat/completions', 'default', 0, at + '24h', at, hash, false, false,
				'' FROM seed`,
		`INSERT INTO queue (id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id, no_store)
			SELECT execution, tenant, hash, hash, 'default', 0, 100, at + '24h', at + '24h', job, false FROM seed`,
		`INSERT INTO live_jobs (execution_id, job_id, tenant, priority, deadline)
			SELECT execution, job, tenant, 0, at + '24h' FROM seed`,
		`DROP TABLE seed`,
		`ANALYZE requests, jobs, queue, live_jobs`,
	} {
		if _, err := store.Exec(b.Context(), statement); err != nil {
			b.Fatalf("fill the store: %v", err)
		}
	}
}

func count(b *testing.B, store *pgx.Conn) (n int) {
	b.Helper()
	if err := store.QueryRow(b.Context(), `SELECT count(*) FROM results`).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// cpuOf is the processor time that a process has used, on Linux.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0 // it has ended
	}
	// The name, in brackets, may hold spaces.
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	ticks := must(strconv.Atoi(fields[11])) + must(strconv.Atoi(fields[12]))
	return time.Duration(ticks) * time.Second / 100
}

// cpuOfDatabase is that of all Postgres processes that serve one database.
func cpuOfDatabase(b *testing.B, name string) (all time.Duration) {
	b.Helper()
	for _, file := range must(filepath.Glob("/proc/[0-9]*/cmdline")) {
		line, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(string(line), "postgres: ") && strings.Contains(string(line), " "+name+" ") {
			all += cpuOf(b, must(strconv.Atoi(filepath.Base(filepath.Dir(file)))))
		}
	}
	return all
}

func redisMiB(b *testing.B, address string) float64 {
	b.Helper()
	client := redis.NewClient(must(redis.ParseURL(address)))
	defer client.Close()
	info := must(client.InfoMap(b.Context(), "memory").Result())
	return must(strconv.ParseFloat(info["Memory"]["used_memory"], 64)) / (1 << 20)
}
