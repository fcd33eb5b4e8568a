package sqlite

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// BenchmarkSubmit measures submissions of 1.5 KB by 64 callers at once.
func BenchmarkSubmit(b *testing.B) {
	for name, relaxed := range map[string]bool{"full": false, "normal": true} {
		b.Run(name, func(b *testing.B) {
			s := openStore(b, Config{Path: newPath(b), Relaxed: relaxed})
			body := make([]byte, 1500)
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					sub := newSubmission()
					sub.Request.Body = body
					if _, err := s.Submit(b.Context(), sub); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// BenchmarkPipeline measures release, claim and finish of 64 executions at once.
func BenchmarkPipeline(b *testing.B) {
	s := openStore(b, Config{Path: newPath(b)})
	worker := jobs.Worker{ID: uuid.New()}
	if _, err := s.Beat(b.Context(), worker, nil); err != nil {
		b.Fatal(err)
	}
	result := make([]byte, 1000)
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			sub := newSubmission()
			if _, err := s.Submit(b.Context(), sub); err != nil {
				b.Fatal(err)
			}
			tasks, err := s.Release(b.Context(), []jobs.Release{{Execution: sub.Execution, Provider: "sim", Model: "m"}}, time.Now())
			if err != nil || len(tasks) != 1 {
				b.Fatal(tasks, err)
			}
			call := uuid.New()
			claim := jobs.Claim{Task: tasks[0], Worker: worker.ID, Call: call, At: time.Now()}
			if _, err := s.Claim(b.Context(), claim); err != nil {
				b.Fatal(err)
			}
			_, err = s.Finish(b.Context(), jobs.Outcome{
				Task: tasks[0], Status: jobs.StatusSucceeded, Result: result, At: time.Now(),
				Call: jobs.Call{ID: call, Provider: "sim", Model: "m", Status: jobs.CallSuccess},
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// BenchmarkReady measures the pick of 100 executions out of 200,000 of 1,000
// tenants, one of which has nine in ten.
func BenchmarkReady(b *testing.B) {
	s := openStore(b, Config{Path: newPath(b), Relaxed: true})
	err := s.writer.script(b.Context(), `
		INSERT INTO queue (id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id, no_store)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
		SELECT randomblob(16), CASE WHEN i % 10 THEN 't500' ELSE 't' || (i / 10 % 1000) END, 'h' || i, 'h', 'default', 0, 1,
			i, i, x'00', 0 FROM n`)
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		ready, err := s.Ready(b.Context(), jobs.ReadyQuery{
			Route: "default", Now: time.Now(), AfterTenant: fmt.Sprintf("t%d", i%990), Tenants: 20, PerTenant: 5,
		})
		if err != nil || len(ready) == 0 {
			b.Fatal(len(ready), err)
		}
	}
}
