// Package bench measures the whole system on real Postgres and Redis, beside
// what it is built on: `make bench`.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/penstock-dev/penstock/internal/app"
	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs/queue"
)

const config = `
providers: {sim: {type: simulated, latency: 0s, concurrency: 64}}
routes: {default: {targets: [sim/sim-1]}}
`

// startFleet starts an API and a worker on fresh stores and returns the base URL.
func startFleet(b *testing.B) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "penstock.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	env := map[string]string{
		"PENSTOCK_DATABASE_URL": testenv.Postgres(b), "PENSTOCK_REDIS_URL": testenv.Redis(b), "PENSTOCK_CONFIG": file,
		"PENSTOCK_ADDR": "127.0.0.1:0", "PENSTOCK_WORKER_ADDR": "127.0.0.1:0", "PENSTOCK_LOG": "warn",
	}
	var addr string
	for _, role := range []app.Role{app.RoleWorker, app.RoleAPI} {
		a, err := app.Start(context.Background(), role, func(k string) string { return env[k] }, os.Stderr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := a.Stop(); err != nil {
				b.Error(err)
			}
		})
		addr = a.Addr()
	}
	return "http://" + addr
}

// latencies collects durations and reports percentiles in milliseconds.
type latencies []time.Duration

func (l latencies) report(b *testing.B, percentiles ...int) {
	b.Helper()
	for _, p := range percentiles {
		b.ReportMetric(l.at(p), fmt.Sprintf("p%d-ms", p))
	}
}

// at returns a percentile in milliseconds. It sorts l.
func (l latencies) at(percentile int) float64 {
	slices.Sort(l)
	return float64(l[(len(l)-1)*percentile/100].Microseconds()) / 1000
}

// idle waits a while of no particular length, so that what comes next meets a
// poller at no particular time.
func idle() { <-time.After(20*time.Millisecond + rand.N(30*time.Millisecond)) }

// BenchmarkIdlePostToAnswer: one caller, an idle system, a provider that takes
// no time: from the POST to the answer in hand.
func BenchmarkIdlePostToAnswer(b *testing.B) {
	base := startFleet(b)
	var took latencies
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		idle()
		b.StartTimer()
		started := time.Now()
		postAndWait(b, base, fmt.Sprintf("question %d", i))
		took = append(took, time.Since(started))
	}
	took.report(b, 50, 95)
}

func postAndWait(b *testing.B, base, prompt string) {
	b.Helper()
	if status, _ := submit(b, base, prompt, "wait=10"); status != "succeeded" {
		b.Fatalf("the job is %s", status)
	}
}

// post submits a job and returns its id.
func post(b *testing.B, base, prompt string) string {
	b.Helper()
	_, id := submit(b, base, prompt, "")
	return id
}

func submit(b *testing.B, base, prompt, prefer string) (status, id string) {
	b.Helper()
	body := fmt.Sprintf(`{"request":{"model":"default","messages":[{"role":"user","content":%q}]}}`, prompt)
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, base+"/v1/jobs", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", prefer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	var job struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}
	if err := json.Unmarshal(raw, &job); err != nil || job.ID == "" {
		b.Fatalf("got %s, want a job", raw)
	}
	return job.Status, job.ID
}

// BenchmarkIdleBareAsynq: the same way without Penstock: a task is enqueued, a
// handler hears of it. By default asynq polls once a second, as Penstock does
// beside its wake-ups.
func BenchmarkIdleBareAsynq(b *testing.B) {
	for _, every := range []time.Duration{time.Second, 20 * time.Millisecond} {
		b.Run("poll="+every.String(), func(b *testing.B) {
			redisClient, err := queue.Connect(testenv.Redis(b))
			if err != nil {
				b.Fatal(err)
			}
			defer redisClient.Close()
			handled := make(chan struct{}, 1)
			server := asynq.NewServerFromRedisClient(redisClient, asynq.Config{
				Concurrency: 64, TaskCheckInterval: every, LogLevel: asynq.FatalLevel,
				Queues: map[string]int{"high": 3, "normal": 2, "low": 1},
			})
			err = server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
				handled <- struct{}{}
				return nil
			}))
			if err != nil {
				b.Fatal(err)
			}
			defer server.Shutdown()
			client := asynq.NewClientFromRedisClient(redisClient)
			var took latencies
			for b.Loop() {
				b.StopTimer()
				idle()
				b.StartTimer()
				started := time.Now()
				if _, err := client.Enqueue(asynq.NewTask("run", nil), asynq.Queue("normal")); err != nil {
					b.Fatal(err)
				}
				<-handled
				took = append(took, time.Since(started))
			}
			took.report(b, 50, 95)
		})
	}
}
