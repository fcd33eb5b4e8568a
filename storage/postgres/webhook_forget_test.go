package postgres

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// keepBody keeps a body of a delivery.
func keepBody(t *testing.T, s *Store, d delivery.Delivery) {
	t.Helper()
	b := delivery.Body{Delivery: d.ID, Endpoint: d.Endpoint, Tenant: d.Tenant, Body: []byte(`{}`)}
	if _, err := s.KeepBodies(t.Context(), []delivery.Body{b}); err != nil {
		t.Fatal(err)
	}
}

// deliveredOf returns the delivery of a job, and records an attempt that ended it so.
func deliveredOf(t *testing.T, s *Store, job uuid.UUID, status delivery.Status) delivery.Delivery {
	t.Helper()
	list, err := s.Deliveries(t.Context(), delivery.Query{Tenant: "acme", Job: job, Limit: 1})
	if err != nil || len(list) != 1 {
		t.Fatalf("deliveries of a job: got %+v, %v, want one", list, err)
	}
	keepBody(t, s, list[0])
	if err := s.Record(t.Context(), []delivery.Record{attemptOf(list[0], status)}); err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// tellAt tells an event of no job that was written at a time, and delivers it.
func tellAt(t *testing.T, s *Store, at time.Time) delivery.Delivery {
	t.Helper()
	id, err := delivery.NewEventID(at)
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.Tell(t.Context(), delivery.Event{
		ID: id, Tenant: "acme", Type: delivery.LaneOpened, Data: []byte(`{}`), CreatedAt: at, Trigger: delivery.TriggerEvent,
	})
	if err != nil || len(made) != 1 {
		t.Fatalf("tell: got %+v, %v, want one delivery", made, err)
	}
	keepBody(t, s, made[0])
	if err := s.Record(t.Context(), []delivery.Record{attemptOf(made[0], delivery.StatusDelivered)}); err != nil {
		t.Fatal(err)
	}
	return made[0]
}

// kept returns how many deliveries, bodies and attempts there are, pending ones included.
func kept(t *testing.T, s *Store) [4]int {
	t.Helper()
	return [4]int{
		count(t, s, "pending_deliveries"), count(t, s, "deliveries"), count(t, s, "delivery_bodies"), count(t, s, "delivery_attempts"),
	}
}

// What was sent of a week's jobs goes with them, also what was sent in the week after; what
// tells of no job stays.
func TestDeliveriesGoWithTheirWeek(t *testing.T) {
	t.Parallel()
	s, past := openLongAgo(t)
	newEndpoint(t, s, nil)
	sent, waits := answeredAt(t, s, "sent", past), answeredAt(t, s, "waits", past)
	later := testSubmission("later")
	later.Job.ID, later.Execution, later.Job.CreatedAt = idAt(past), idAt(past), past
	if _, err := s.Submit(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Cancel(t.Context(), "acme", later.Job.ID, past.Add(week)); err != nil {
		t.Fatal(err)
	}
	deliveredOf(t, s, sent.ID, delivery.StatusDelivered)
	deliveredOf(t, s, waits.ID, delivery.StatusPending)
	deliveredOf(t, s, later.Job.ID, delivery.StatusDelivered)
	ofNone := tellAt(t, s, past)
	young := endJob(t, s, "young")
	if got, want := kept(t, s), [4]int{2, 3, 4, 4}; got != want {
		t.Fatalf("pending, finished, bodies, attempts: got %v, want %v", got, want)
	}

	for range 2 {
		retain(t, s)
	}
	if n := weeklies(t, s, past); n != 0 {
		t.Errorf("%d tables are left of a week past its retention, want none", n)
	}
	if got, want := kept(t, s), [4]int{1, 1, 1, 1}; got != want {
		t.Errorf("pending, finished, bodies, attempts: got %v, want %v: of the young job, and of no job", got, want)
	}
	deliveredOf(t, s, young.ID, delivery.StatusDelivered)
	if _, attempts, err := s.Delivery(t.Context(), "acme", ofNone.ID); err != nil || len(attempts) != 1 {
		t.Errorf("the delivery of no job: got %d attempts, %v, want one", len(attempts), err)
	}

	if err := s.ForgetDeliveries(t.Context(), past.Add(2*week)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Delivery(t.Context(), "acme", ofNone.ID); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("the delivery of no job past its retention: got error %v, want %v", err, jobs.ErrNotFound)
	}
	if got, want := kept(t, s), [4]int{0, 1, 1, 1}; got != want {
		t.Errorf("pending, finished, bodies, attempts: got %v, want %v: of the young job", got, want)
	}
	if n := count(t, s, "webhook_events"); n != 0 {
		t.Errorf("%d events of no job are left, want none", n)
	}
}

// A delivery may be pending for longer than others are kept: what it sends stays.
func TestWhatIsPendingIsNotForgotten(t *testing.T) {
	t.Parallel()
	s, past := openLongAgo(t)
	e := newEndpoint(t, s, nil)
	job := answeredAt(t, s, "job", past)
	d := deliveredOf(t, s, job.ID, delivery.StatusFailed)
	told := tellAt(t, s, past)
	for _, id := range []uuid.UUID{d.ID, told.ID} {
		if _, err := s.Redeliver(t.Context(), "acme", id, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := s.ForgetDeliveries(t.Context(), past.Add(2*week)); err != nil {
			t.Fatal(err)
		}
	}
	due := dueOf(t, s, e.ID)
	if len(due) != 2 || string(due[0].Body) != `{}` || string(due[1].Body) != `{}` {
		t.Fatalf("due: got %+v, want both with their bodies", due)
	}
	for _, d := range due {
		if d.Attempts != 1 || (d.Job == uuid.Nil) != (d.Data != nil) {
			t.Errorf("due: got %+v", d)
		}
		if err := s.Record(t.Context(), []delivery.Record{attemptOf(d.Delivery, delivery.StatusDelivered)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ForgetDeliveries(t.Context(), past.Add(2*week)); err != nil {
		t.Fatal(err)
	}
	if got := kept(t, s); got != [4]int{} {
		t.Errorf("pending, finished, bodies, attempts: got %v, want none", got)
	}
}
