//go:build !race

// Days of virtual time, which take long with the race detector.

package courier

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Retries stop silently (convoy #1667), retries capped by the queue's default (convoy
// #2696): all of the schedule is done, each at its time.
func TestEachStepOfTheScheduleIsDoneAtItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		e := r.store.endpoint(delivery.Endpoint{URL: "http://hooks.example.com/a"})
		c := r.start(sends(func(context.Context, delivery.Message) delivery.Attempt { return bad }), seldom)
		id := r.store.tell(e, 1)[0]
		c.Wake()
		time.Sleep(6 * 24 * time.Hour)
		d, attempts := r.store.delivery(id)
		if d.Status != delivery.StatusFailed || len(attempts) != 12 {
			t.Fatalf("got %s after %d attempts, want it failed after 12", d.Status, len(attempts))
		}
		for i, a := range attempts[1:] {
			got, want := a.At.Sub(attempts[i].At.Add(attempts[i].Latency)), delivery.DefaultSchedule[i+1]
			if got < want || got > want+want/5+20*time.Millisecond {
				t.Errorf("attempt %d began %v after the one before it, want %v and a fifth more at most", i+2, got, want)
			}
		}
	})
}

// Poison retry loop (outpost #663): an event that cannot be delivered ends, and good ones
// do not wait for it.
func TestAPoisonEventEndsAmidGoodOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
		poison := r.store.tell(e, 1)[0]
		c := r.start(s.see(0, func(_ context.Context, m delivery.Message) delivery.Attempt {
			if m.ID == poison.String() {
				return bad
			}
			return good
		}), seldom)
		for range 6 * 24 {
			r.store.tell(e, 1)
			c.Wake()
			time.Sleep(time.Hour)
		}
		d, attempts := r.store.delivery(poison)
		if d.Status != delivery.StatusFailed || len(attempts) != 12 {
			t.Errorf("the poison event is %s after %d attempts, want it failed after 12", d.Status, len(attempts))
		}
		if n := r.store.count(); n[delivery.StatusDelivered] != 6*24 {
			t.Errorf("got %v, want the good ones delivered", n)
		}
		if facts := r.told(); len(facts) != 0 {
			t.Errorf("got %v, want the breaker left alone", facts)
		}
	})
}

// When the endpoint comes back, and the event that has waited longest is one that it
// cannot take, the others are delivered all the same.
func TestAPoisonEventDoesNotKeepTheBreakerOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
		began := time.Now()
		poison := r.store.tell(e, 1)[0]
		time.Sleep(time.Second)
		r.store.tell(e, 20)
		r.start(s.see(0, func(_ context.Context, m delivery.Message) delivery.Attempt {
			if m.ID == poison.String() || time.Since(began) < 2*time.Hour {
				return bad
			}
			return good
		}), seldom)
		time.Sleep(2*time.Hour + 40*time.Minute)
		if n := r.store.count(); n[delivery.StatusDelivered] != 20 {
			t.Errorf("got %v, want all but one delivered soon after the endpoint is back", n)
		}
		time.Sleep(6 * 24 * time.Hour)
		if n := r.store.count(); n[delivery.StatusFailed] != 1 || n[delivery.StatusPending] != 0 {
			t.Errorf("got %v, want the poison event failed in the end", n)
		}
	})
}

// A body that cannot be written keeps no other from being, and its delivery ends.
func TestABodyThatCannotBeWrittenHoldsNoOtherUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
		ids := r.store.tell(e, 20)
		r.store.pending[ids[3]].Data = json.RawMessage(`{"lane":`) // no JSON
		r.store.pending[ids[5]].Data, r.store.pending[ids[5]].Job = nil, uuid.New()
		r.store.pending[ids[7]].Lost = true
		c := r.start(s.see(0, func(context.Context, delivery.Message) delivery.Attempt { return good }), seldom)
		c.Wake()
		time.Sleep(time.Second)
		if d, _ := r.store.delivery(ids[7]); d.Status != delivery.StatusFailed {
			t.Errorf("what can be read by nobody is %s, want it failed", d.Status)
		}
		if n := r.store.count(); n[delivery.StatusDelivered] != 17 || n[delivery.StatusPending] != 2 {
			t.Errorf("got %v, want all delivered that have a body", n)
		}
		time.Sleep(6 * 24 * time.Hour)
		if n := r.store.count(); n[delivery.StatusFailed] != 3 {
			t.Errorf("got %v, want three failed in the end", n)
		}
		if n := len(s.seen()); n != 17 {
			t.Errorf("%d were sent, want 17", n)
		}
	})
}

// A receiver is down for three days and then back: it gets all that happened, the oldest
// first, and not all at once. No delivery has used up its schedule meanwhile.
func TestAReceiverThatWasDownForThreeDaysGetsEverythingInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a"), Concurrency: 1})
		began := time.Now()
		down := 72 * time.Hour
		c := r.start(s.see(0, func(context.Context, delivery.Message) delivery.Attempt {
			if time.Since(began) < down {
				return dead
			}
			return good
		}), seldom)
		var ids []string
		for time.Since(began) < down+time.Hour {
			ids = append(ids, r.store.tell(e, 1)[0].String())
			c.Wake()
			time.Sleep(3 * time.Minute)
		}
		if n := r.store.count(); n[delivery.StatusDelivered] != len(ids) {
			t.Fatalf("got %v of %d, want all delivered within an hour", n, len(ids))
		}
		var got []string
		var at []time.Time
		for _, seen := range s.seen() {
			if seen.at.Sub(began) >= down {
				got, at = append(got, seen.id), append(at, seen.at)
			}
		}
		// The last attempts before the return have left a few behind that failed.
		if !slices.Equal(got, ids) {
			t.Errorf("got %d attempts after the return, want each of %d once, the oldest first", len(got), len(ids))
		}
		for i, a := range at[1:] {
			since := a.Sub(at[0])
			if gap, want := a.Sub(at[i]), rampFirst>>(at[i].Sub(at[0])/rampStep); since < 30*time.Second && gap < want {
				t.Fatalf("%v after the return two attempts were %v apart, want %v", since, gap, want)
			}
		}
		if first := len(slices.DeleteFunc(slices.Clone(at), func(a time.Time) bool { return a.Sub(at[0]) >= 10*time.Second })); first < 12 || first > 16 {
			t.Errorf("%d attempts in the first ten seconds, want some 15", first)
		}
		if facts := r.told(); !slices.Equal(facts, []string{"opened", "failing", "closed"}) {
			t.Errorf("observers were told %v", facts)
		}
	})
}
