package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// newEndpoint keeps an endpoint of acme's and returns it.
func newEndpoint(t testing.TB, s *Store, edit func(e *delivery.Endpoint)) delivery.Endpoint {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	e := delivery.Endpoint{
		ID: uuid.Must(uuid.NewV7()), Tenant: "acme", URL: "https://example.com/hooks", Version: 1, CreatedAt: now, ChangedAt: now,
	}
	if edit != nil {
		edit(&e)
	}
	secret := delivery.Secret{ID: uuid.Must(uuid.NewV7()), Tenant: e.Tenant, Owner: e.ID, Key: "whsec_", CreatedAt: now}
	if err := s.CreateEndpoint(t.Context(), e, secret); err != nil {
		t.Fatal(err)
	}
	return e
}

// endJob submits a job and ends it.
func endJob(t testing.TB, s *Store, hash string) jobs.Job {
	t.Helper()
	sub := testSubmission(hash)
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Cancel(t.Context(), sub.Job.Tenant, sub.Job.ID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return sub.Job
}

// dueOf lists what is due of an endpoint an hour from now.
func dueOf(t testing.TB, s *Store, endpoint uuid.UUID) []delivery.Due {
	t.Helper()
	due, err := s.Due(t.Context(), endpoint, time.Now().Add(time.Hour), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return due
}

// attemptOf returns the next attempt of a delivery.
func attemptOf(d delivery.Delivery, status delivery.Status) delivery.Record {
	now := time.Now().UTC().Truncate(time.Microsecond)
	r := delivery.Record{
		Attempt:  delivery.Attempt{Verdict: delivery.Delivered, Status: 200, Latency: time.Millisecond},
		Delivery: d.ID, Endpoint: d.Endpoint, Tenant: d.Tenant, N: d.Attempts + 1, Trigger: d.Trigger, At: now, Status: status,
	}
	if status != delivery.StatusDelivered {
		r.Attempt = delivery.Attempt{Verdict: delivery.Failed, Failure: delivery.FailureStatus, Status: 500, Latency: time.Millisecond}
	}
	if status == delivery.StatusPending {
		r.Step, r.DueAt = d.Step+1, now.Add(time.Minute)
	}
	return r
}

// The database makes the ids of deliveries of a job's end, [delivery.IDOf] those of others.
func TestDeliveriesHaveTheIDsThatGoGivesThem(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	for range 8 {
		newEndpoint(t, s, nil)
	}
	for _, hash := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		endJob(t, s, hash)
	}
	rows, err := s.pool.Query(context.Background(), `SELECT id, event_id, endpoint_id FROM pending_deliveries`)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; rows.Next(); n++ {
		var id, event, endpoint uuid.UUID
		if err := rows.Scan(&id, &event, &endpoint); err != nil {
			t.Fatal(err)
		}
		if want := delivery.IDOf(event, endpoint); id != want {
			t.Errorf("event %s to endpoint %s: got id %s, want %s", event, endpoint, id, want)
		}
	}
	if n != 64 {
		t.Errorf("got %d deliveries, want 64", n)
	}
}

func TestADeliveryGoesThroughItsSteps(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	e := newEndpoint(t, s, nil)
	job := endJob(t, s, "a")
	holder := uuid.New()
	leased, err := s.LeaseEndpoints(t.Context(), holder, time.Now(), 10)
	if err != nil || len(leased) != 1 || leased[0].ID != e.ID || len(leased[0].Secrets) != 1 {
		t.Fatalf("lease: got %+v, %v, want the endpoint with its secret", leased, err)
	}
	if again, err := s.LeaseEndpoints(t.Context(), uuid.New(), time.Now(), 10); err != nil || len(again) != 0 {
		t.Fatalf("lease of another: got %+v, %v, want none", again, err)
	}
	if again, err := s.RenewEndpoints(t.Context(), holder, []uuid.UUID{e.ID}, time.Now()); err != nil || len(again) != 1 {
		t.Fatalf("renew: got %+v, %v, want one", again, err)
	}
	due := dueOf(t, s, e.ID)
	if len(due) != 1 || due[0].Job != job.ID || due[0].Type != delivery.JobCancelled || due[0].Body != nil {
		t.Fatalf("due: got %+v, want one of the job", due)
	}
	d := due[0].Delivery
	ended, err := s.EndedJobs(t.Context(), []uuid.UUID{job.ID, uuid.New()}, true)
	if err != nil || len(ended) != 1 || ended[job.ID].Status != jobs.StatusCancelled {
		t.Fatalf("ended jobs: got %+v, %v, want the job", ended, err)
	}
	body := delivery.Body{Delivery: d.ID, Endpoint: d.Endpoint, Tenant: d.Tenant, Body: []byte("one")}
	if before, err := s.KeepBodies(t.Context(), []delivery.Body{body}); err != nil || len(before) != 0 {
		t.Fatalf("keep: got %v, %v, want none before", before, err)
	}
	body.Body = []byte("two")
	if before, err := s.KeepBodies(t.Context(), []delivery.Body{body}); err != nil || string(before[d.ID]) != "one" {
		t.Fatalf("keep again: got %q, %v, want the first body", before, err)
	}
	if err := s.Record(t.Context(), []delivery.Record{attemptOf(d, delivery.StatusPending)}); err != nil {
		t.Fatal(err)
	}
	again := dueOf(t, s, e.ID)[0]
	if again.Attempts != 1 || again.Step != 1 || string(again.Body) != "one" {
		t.Fatalf("after an attempt: got %+v", again)
	}
	if next, err := s.NextDue(t.Context(), time.Now()); err != nil || !next.IsZero() {
		t.Fatalf("next due while held: got %v, %v, want none", next, err)
	}
	if err := s.ReleaseEndpoints(t.Context(), holder, []uuid.UUID{e.ID}); err != nil {
		t.Fatal(err)
	}
	if next, err := s.NextDue(t.Context(), time.Now()); err != nil || !next.Equal(again.DueAt) {
		t.Fatalf("next due: got %v, %v, want %v", next, err, again.DueAt)
	}
	if err := s.Record(t.Context(), []delivery.Record{attemptOf(again.Delivery, delivery.StatusDelivered)}); err != nil {
		t.Fatal(err)
	}
	if left := dueOf(t, s, e.ID); len(left) != 0 || count(t, s, "deliveries") != 1 || count(t, s, "delivery_attempts") != 2 {
		t.Fatalf("after it was delivered: got %+v due", left)
	}
}
