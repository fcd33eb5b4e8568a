package postgres

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// callers is how many goroutines write at once in the benchmarks.
const callers = 64

// body returns a request or a result of n bytes.
func body(n int) json.RawMessage {
	return json.RawMessage(`{"text":"` + string(bytes.Repeat([]byte("lorem ipsum "), n/12)) + `"}`)
}

func benchSubmission(request json.RawMessage) jobs.Submission {
	var hash [32]byte
	_, _ = rand.Read(hash[:])
	now := time.Now().UTC().Truncate(time.Microsecond)
	id, execution := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	return jobs.Submission{
		Job: jobs.Job{
			ID: id, Tenant: "t" + hex.EncodeToString(hash[:1]), Endpoint: "/v1/chat/completions", Model: "default",
			Deadline: now.Add(24 * time.Hour), CreatedAt: now, RequestHash: hex.EncodeToString(hash[:]),
		},
		Request:   jobs.Request{Endpoint: "/v1/chat/completions", Route: "default", Body: request, Cost: 100},
		Execution: execution, Dedupe: true,
	}
}

// concurrently calls do n times from the benchmark's callers.
func concurrently(b *testing.B, n int, do func(i int) error) {
	b.Helper()
	next := make(chan int)
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

// BenchmarkSubmit compares coalesced submissions with submissions that are a
// transaction each, in turns, so that both meet the same machine. It reports
// medians.
func BenchmarkSubmit(b *testing.B) {
	const round = 2000
	url := openStore(b, Config{}).pool.Config().ConnString()
	coalesced := openStore(b, Config{URL: url})
	alone := openStore(b, Config{URL: url, BatchSize: 1, Committers: 16})
	request := body(1500)
	rate := func(s *Store) float64 {
		start := time.Now()
		concurrently(b, round, func(int) error {
			_, err := s.Submit(context.Background(), benchSubmission(request))
			return err
		})
		return round / time.Since(start).Seconds()
	}
	rate(coalesced)
	rate(alone)
	var together, single, ratio []float64
	for b.Loop() {
		one, many := rate(alone), rate(coalesced)
		together, single, ratio = append(together, many), append(single, one), append(ratio, many/one)
	}
	b.ReportMetric(median(single), "single/s")
	b.ReportMetric(median(together), "coalesced/s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkPipeline takes jobs from submission to their end: submit, release in
// hundreds, claim, finish.
func BenchmarkPipeline(b *testing.B) {
	const round = 2000
	s := openStore(b, Config{})
	ctx := context.Background()
	w := jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "bench"}
	if _, err := s.Beat(ctx, w, nil); err != nil {
		b.Fatal(err)
	}
	steps := map[string][]float64{}
	timed := func(step string, do func()) {
		start := time.Now()
		do()
		steps[step] = append(steps[step], round/time.Since(start).Seconds())
	}
	request, result := body(1500), body(1000)
	run := func() {
		var tasks []jobs.Task
		works := make([]jobs.Work, round)
		timed("submit", func() {
			concurrently(b, round, func(int) error {
				_, err := s.Submit(ctx, benchSubmission(request))
				return err
			})
		})
		timed("release", func() { tasks = releaseReady(ctx, b, s) })
		if len(tasks) != round {
			b.Fatalf("released %d, want %d", len(tasks), round)
		}
		timed("claim", func() {
			concurrently(b, round, func(i int) (err error) {
				works[i], err = s.Claim(ctx, jobs.Claim{
					Task: tasks[i], Worker: w.ID, Call: uuid.Must(uuid.NewV7()), At: time.Now(),
				})
				return err
			})
		})
		timed("finish", func() {
			concurrently(b, round, func(i int) error {
				_, err := s.Finish(ctx, benchOutcome(works[i], result))
				return err
			})
		})
	}
	run()
	clear(steps)
	for b.Loop() {
		timed("pipeline", run)
	}
	for step, rates := range steps {
		b.ReportMetric(median(rates), step+"/s")
	}
	b.ReportMetric(0, "ns/op")
}

// releaseReady releases all that is ready, a hundred at a time.
func releaseReady(ctx context.Context, b *testing.B, s *Store) []jobs.Task {
	b.Helper()
	var all []jobs.Task
	for {
		ready, err := s.Ready(ctx, jobs.ReadyQuery{
			Route: "default", Now: time.Now(), Tenants: 100, PerTenant: 1,
		})
		if err != nil {
			b.Fatal(err)
		}
		if len(ready) == 0 {
			return all
		}
		tasks, err := s.Release(ctx, column(ready, func(c jobs.Candidate) jobs.Release {
			return jobs.Release{Execution: c.Execution, Fence: c.Fence, Provider: "sim", Model: "sim-1"}
		}), time.Now())
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, tasks...)
	}
}

func benchOutcome(w jobs.Work, result json.RawMessage) jobs.Outcome {
	cost := jobs.USD(1_000_000)
	return jobs.Outcome{
		Task: w.Task, Status: jobs.StatusSucceeded, Result: result, At: time.Now(),
		Call: jobs.Call{
			ID: w.Call, Execution: w.Task.Execution, Fence: w.Task.Fence, Tenant: w.Tenant, RequestHash: w.RequestHash,
			Provider: w.Provider, Model: w.Model, Status: jobs.CallSuccess, HTTPStatus: 200, Latency: time.Second,
			CostUSD: &cost, CreatedAt: time.Now(),
		},
	}
}

// BenchmarkJob reads live jobs by id.
func BenchmarkJob(b *testing.B) {
	s := openStore(b, Config{})
	var subs []jobs.Submission
	for range 1000 {
		subs = append(subs, benchSubmission(body(1500)))
	}
	concurrently(b, len(subs), func(i int) error {
		_, err := s.Submit(context.Background(), subs[i])
		return err
	})
	start, n := time.Now(), 0
	for b.Loop() {
		concurrently(b, len(subs), func(i int) error {
			_, err := s.Job(context.Background(), subs[i].Job.Tenant, subs[i].Job.ID)
			return err
		})
		n += len(subs)
	}
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "jobs/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkReady lists what is ready beside many that wait for a time, all of
// one tenant and ahead in the order. It reports medians in milliseconds.
func BenchmarkReady(b *testing.B) {
	for _, parked := range []int{0, 20_000, 100_000, 300_000} {
		b.Run(fmt.Sprintf("parked=%d", parked), func(b *testing.B) {
			s := openStore(b, Config{})
			const fill = `
				INSERT INTO queue (id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id,
					no_store, visible_at, parked_until)
				SELECT gen_random_uuid(), 't0', md5(n::text), md5(n::text), 'default', 0, 1, d, d, gen_random_uuid(), false,
					CASE WHEN n > 100 THEN now() + interval '1 hour' ELSE 'epoch' END,
					CASE WHEN n > 100 THEN now() + interval '1 hour' END
				FROM generate_series(1, $1::integer + 100) n, LATERAL (SELECT now() - n * interval '1 second') v (d)`
			if _, err := s.pool.Exec(b.Context(), fill, parked); err != nil {
				b.Fatal(err)
			}
			var took []float64
			for b.Loop() {
				start := time.Now()
				got, err := s.Ready(b.Context(), jobs.ReadyQuery{Route: "default", Now: start, Tenants: 32, PerTenant: 50})
				if err != nil || len(got) != 50 {
					b.Fatalf("ready: got %d, %v, want 50", len(got), err)
				}
				took = append(took, float64(time.Since(start))/float64(time.Millisecond))
			}
			b.ReportMetric(median(took), "ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkProspect tells a job what it has before it, which is so much. It
// reports medians in milliseconds.
func BenchmarkProspect(b *testing.B) {
	s := openStore(b, Config{})
	const fill = `
		INSERT INTO queue (id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id, no_store)
		SELECT gen_random_uuid(), 't0', md5(n::text), md5(n::text), 'default', 0, 1, now() + n * interval '1 second', now(),
			gen_random_uuid(), false
		FROM generate_series(1, 20000) n`
	if _, err := s.pool.Exec(b.Context(), fill); err != nil {
		b.Fatal(err)
	}
	for _, before := range []int{0, 100, 1000, 9999, 19_999} {
		b.Run(fmt.Sprintf("before=%d", before), func(b *testing.B) {
			var id uuid.UUID
			err := s.pool.QueryRow(b.Context(), `SELECT id FROM queue ORDER BY deadline LIMIT 1 OFFSET $1`, before).Scan(&id)
			if err != nil {
				b.Fatal(err)
			}
			var took []float64
			for b.Loop() {
				start := time.Now()
				got, err := s.Prospect(b.Context(), id, start)
				if err != nil || got.Own != min(before, jobs.MaxAhead) {
					b.Fatalf("prospect: got %+v, %v, want %d of its own before", got, err, before)
				}
				took = append(took, float64(time.Since(start))/float64(time.Millisecond))
			}
			b.ReportMetric(median(took), "ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
