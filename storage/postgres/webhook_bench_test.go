package postgres

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// BenchmarkFinishTold compares ending jobs of tenants that have no endpoint with ending
// jobs of tenants that have one, in turns. It reports medians.
func BenchmarkFinishTold(b *testing.B) {
	const round = 2000
	s := openStore(b, Config{})
	ctx := context.Background()
	w := jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "bench"}
	if _, err := s.Beat(ctx, w, nil); err != nil {
		b.Fatal(err)
	}
	told := map[string]bool{}
	request, result := body(1500), body(1000)
	rate := func(endpoint bool) float64 {
		works := make([]jobs.Work, round)
		concurrently(b, round, func(int) error {
			sub := benchSubmission(request)
			if endpoint {
				sub.Job.Tenant = "w" + sub.Job.Tenant
			}
			_, err := s.Submit(ctx, sub)
			return err
		})
		tasks := releaseReady(ctx, b, s)
		concurrently(b, round, func(i int) (err error) {
			works[i], err = s.Claim(ctx, jobs.Claim{Task: tasks[i], Worker: w.ID, Call: uuid.Must(uuid.NewV7()), At: time.Now()})
			return err
		})
		for _, work := range works {
			if endpoint && !told[work.Tenant] {
				newEndpoint(b, s, func(e *delivery.Endpoint) { e.Tenant = work.Tenant }) //nolint:contextcheck // it has the benchmark's
				told[work.Tenant] = true
			}
		}
		start := time.Now()
		concurrently(b, round, func(i int) error {
			_, err := s.Finish(ctx, benchOutcome(works[i], result))
			return err
		})
		return round / time.Since(start).Seconds()
	}
	rate(false)
	rate(true)
	var none, one, ratio []float64
	for b.Loop() {
		without, with := rate(false), rate(true)
		none, one, ratio = append(none, without), append(one, with), append(ratio, with/without)
	}
	b.ReportMetric(median(none), "none/s")
	b.ReportMetric(median(one), "one/s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDeliveries takes deliveries from due to delivered, in batches of a hundred, as
// a courier does. It reports medians.
func BenchmarkDeliveries(b *testing.B) {
	const round, batch = 5000, 100
	s := openStore(b, Config{})
	ctx := context.Background()
	e := newEndpoint(b, s, nil)
	sub := testSubmission("job")
	if _, err := s.Submit(ctx, sub); err != nil {
		b.Fatal(err)
	}
	if _, _, err := s.Cancel(ctx, sub.Job.Tenant, sub.Job.ID, time.Now()); err != nil {
		b.Fatal(err)
	}
	steps := map[string][]float64{}
	timed := func(step string, n int, do func()) {
		start := time.Now()
		do()
		steps[step] = append(steps[step], float64(n)/time.Since(start).Seconds())
	}
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	sent := body(600)
	run := func() {
		ends := slices.Repeat([]told{{tenant: "acme", job: sub.Job.ID, status: jobs.StatusSucceeded, at: time.Now()}}, batch)
		for range round / batch {
			timed("made", batch, func() {
				must(s.write(ctx, "make", func(_ context.Context, t *txn) error {
					tell(t, ends)
					return nil
				}))
			})
		}
		for {
			var due []delivery.Due
			var err error
			timed("due", batch, func() { due, err = s.Due(ctx, e.ID, time.Now().Add(time.Hour), batch) })
			must(err)
			if len(due) == 0 {
				return
			}
			timed("ended", batch, func() {
				_, err = s.EndedJobs(ctx, column(due, func(d delivery.Due) uuid.UUID { return d.Job }), false)
			})
			must(err)
			timed("kept", batch, func() {
				_, err = s.KeepBodies(ctx, column(due, func(d delivery.Due) delivery.Body {
					return delivery.Body{Delivery: d.ID, Endpoint: d.Endpoint, Tenant: d.Tenant, Body: sent}
				}))
			})
			must(err)
			timed("recorded", batch, func() {
				err = s.Record(ctx, column(due, func(d delivery.Due) delivery.Record {
					return attemptOf(d.Delivery, delivery.StatusDelivered)
				}))
			})
			must(err)
		}
	}
	run()
	clear(steps)
	for b.Loop() {
		timed("delivered", round, run)
	}
	for step, rates := range steps {
		b.ReportMetric(median(rates), step+"/s")
	}
	b.ReportMetric(0, "ns/op")
}
