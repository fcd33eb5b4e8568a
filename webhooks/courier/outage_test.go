package courier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// An open breaker uses up no step: what is the oldest has been probed with for hours, and
// still has its schedule before it.
func TestAnOpenBreakerUsesUpNoStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
		ids := r.store.tell(e, 8)
		r.start(s.see(0, func(context.Context, delivery.Message) delivery.Attempt { return dead }), seldom)
		time.Sleep(24 * time.Hour)
		attempts := 0
		for _, id := range ids {
			d, made := r.store.delivery(id)
			attempts += len(made)
			if d.Step > 1 || d.Status != delivery.StatusPending {
				t.Errorf("delivery %s is %s at step %d, want it pending at the first", id, d.Status, d.Step)
			}
		}
		if attempts < 80 || attempts > 130 {
			t.Errorf("%d attempts in a day, want some hundred probes", attempts)
		}
		for i, seen := range s.seen() {
			if i > 20 && seen.at.Sub(s.all[i-1].at) < 14*time.Minute {
				t.Fatalf("two probes are %v apart", seen.at.Sub(s.all[i-1].at))
			}
		}
	})
}

// A turn that waits for a probe to come back sleeps meanwhile: in a bubble, time would
// stand still if it did not.
func TestAProbeThatHangsIsWaitedForAtRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a"), PerMinute: 6000})
		r.store.tell(e, 20)
		r.start(s.see(0, hangs))
		time.Sleep(10 * time.Minute)
		if facts, n := r.told(), len(s.seen()); !slices.Equal(facts, []string{"opened"}) || n < 14 || n > 20 {
			t.Errorf("%d attempts, %v; want ten and a few probes", n, facts)
		}
	})
}

func TestAnEndpointThatAsksToBeLeftAloneIs(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]time.Duration{"90": 90 * time.Second, "9999999": 24 * time.Hour} {
		for _, status := range []int{429, 503} {
			t.Run(fmt.Sprint(status, " ", asked), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					e := r.store.endpoint(delivery.Endpoint{URL: url("a"), Concurrency: 1})
					var mu sync.Mutex
					var at []time.Time
					r.start(receiver(t, func(w http.ResponseWriter, _ *http.Request) {
						mu.Lock()
						defer mu.Unlock()
						if at = append(at, time.Now()); len(at) == 1 {
							w.Header().Set("Retry-After", asked)
							w.WriteHeader(status)
						}
					}), seldom)
					ids := r.store.tell(e, 5)
					time.Sleep(want + 2*time.Hour)
					if n := r.store.count(); n[delivery.StatusDelivered] != 5 {
						t.Fatalf("got %v, want all delivered", n)
					}
					if rest := at[1].Sub(at[0]); rest < want || rest > want+time.Second {
						t.Errorf("left alone for %v, want %v", rest, want)
					}
					for _, id := range ids {
						if d, _ := r.store.delivery(id); d.Step != 0 {
							t.Errorf("step %d is used up", d.Step)
						}
					}
				})
			})
		}
	}
}

func TestABodyThatIsTooLargeIsSentThin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		e := r.store.endpoint(delivery.Endpoint{URL: url("a"), IncludeResult: true})
		id := r.store.ended(e, json.RawMessage(`{"choices":[]}`))
		var bodies []string
		c := r.start(receiver(t, func(w http.ResponseWriter, q *http.Request) {
			body, _ := io.ReadAll(q.Body)
			if bodies = append(bodies, string(body)); strings.Contains(string(body), "choices") {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			}
		}), seldom)
		c.Wake()
		time.Sleep(time.Second)
		d, attempts := r.store.delivery(id)
		if d.Status != delivery.StatusDelivered || len(attempts) != 2 || !d.Thin || d.Step != 0 || len(bodies) != 2 {
			t.Fatalf("%s with %d attempts at step %d, thin %t; want it delivered at once without the result", d.Status, len(attempts), d.Step, d.Thin)
		}
		if !strings.Contains(bodies[1], `"result_omitted":true`) {
			t.Errorf("sent %s, want it said that the result was left out", bodies[1])
		}
		if kept := r.store.bodies[id]; !strings.Contains(string(kept), "choices") {
			t.Error("the body that is kept is not the first one")
		}
	})
}

func TestASecretThatIsReplacedSignsOnForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
		newer := "whsec_" + strings.Repeat("A", 32)
		var headers []http.Header
		var body []byte
		c := r.start(receiver(t, func(_ http.ResponseWriter, q *http.Request) {
			r.mu.Lock()
			defer r.mu.Unlock()
			headers = append(headers, q.Header)
			body, _ = io.ReadAll(q.Body)
		}), seldom)
		old, _ := webhooks.ParseKey(secret)
		next, _ := webhooks.ParseKey(newer)
		for i, want := range []struct{ old, next bool }{{true, false}, {true, true}, {false, true}} {
			if i == 1 {
				r.store.change(e.ID, func(k *kept) {
					k.Secrets[0].ExpiresAt = time.Now().Add(time.Hour)
					k.Secrets = append([]delivery.Secret{{Key: newer}}, k.Secrets...)
				})
				c.Changed(e.ID)
			}
			r.store.tell(e, 1)
			c.Wake()
			time.Sleep(100 * time.Millisecond)
			r.mu.Lock()
			all, told := slices.Clone(headers), bytes.Clone(body)
			r.mu.Unlock()
			if len(all) != i+1 {
				t.Fatalf("%d: %d attempts", i, len(all))
			}
			if got := webhooks.Verify(all[i], told, time.Now(), old) == nil; got != want.old {
				t.Errorf("%d: signed with the old secret: %t", i, got)
			}
			if got := webhooks.Verify(all[i], told, time.Now(), next) == nil; got != want.next {
				t.Errorf("%d: signed with the new secret: %t", i, got)
			}
			if i == 1 {
				time.Sleep(time.Hour)
			}
		}
	})
}

// While the store is away nothing begins, what was under way is recorded when it is back,
// and nothing is sent twice.
func TestAStoreThatIsAwayForAWhileCostsNoDuplicate(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{5 * time.Second, time.Minute, time.Hour} {
		t.Run(fmt.Sprint(away), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, s := newRig(t), newSightings()
				e := r.store.endpoint(delivery.Endpoint{URL: url("a"), Concurrency: 5})
				var out atomicBool
				r.store.before = func(string) error {
					if out.get() {
						return errAway
					}
					return nil
				}
				r.start(s.see(0, func(ctx context.Context, _ delivery.Message) delivery.Attempt {
					return takes(ctx, 300*time.Millisecond, good)
				}))
				r.store.tell(e, 200)
				time.Sleep(3*time.Second + 100*time.Millisecond)
				out.set(true)
				left := time.Now()
				time.Sleep(away)
				for _, seen := range s.seen() {
					if seen.at.Sub(left) > 400*time.Millisecond {
						t.Fatalf("an attempt began %v after the store had gone", seen.at.Sub(left))
					}
				}
				out.set(false)
				time.Sleep(time.Minute)
				if n := r.store.count(); n[delivery.StatusDelivered] != 200 {
					t.Errorf("got %v, want all delivered", n)
				}
				if n := len(s.seen()); n != 200 {
					t.Errorf("%d attempts for 200 deliveries", n)
				}
			})
		})
	}
}

// One that cannot be recorded keeps no other from being, and is not sent again and again.
func TestAnAttemptThatCannotBeRecordedHoldsNoOtherUp(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]error{"refused": errors.New("value out of range"), "seems away": errAway} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, s := newRig(t), newSightings()
				e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
				poison := r.store.tell(e, 100)[17]
				c := r.start(s.see(0, func(context.Context, delivery.Message) delivery.Attempt { return good }),
					func(c *Config) { c.Store = picky{r.store, poison, refusal, false} })
				time.Sleep(time.Minute)
				r.store.tell(e, 100)
				time.Sleep(time.Minute)
				if n := r.store.count(); n[delivery.StatusDelivered] != 199 {
					t.Errorf("got %v, want all but one delivered", n)
				}
				if n := len(s.seen()); n != 200 {
					t.Errorf("%d attempts, want one of each", n)
				}
				stopping := time.Now()
				c.stop()
				if took := time.Since(stopping); took > 15*time.Second+flushTime+storeTimeout {
					t.Errorf("stopping took %v", took)
				}
			})
		})
	}
}

// An answer that cannot be kept costs the answer, and no attempt.
func TestAnAnswerThatCannotBeKeptIsLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
		id := r.store.tell(e, 3)[1]
		answered := good
		answered.Answer = []byte("thanks")
		r.start(sends(func(context.Context, delivery.Message) delivery.Attempt { return answered }),
			func(c *Config) { c.Store = picky{r.store, id, errors.New("invalid byte sequence"), true} })
		time.Sleep(time.Minute)
		if n := r.store.count(); n[delivery.StatusDelivered] != 3 {
			t.Fatalf("got %v, want all delivered", n)
		}
		if _, attempts := r.store.delivery(id); len(attempts) != 1 || attempts[0].Answer != nil {
			t.Errorf("recorded %+v, want one attempt without its answer", attempts)
		}
	})
}

// picky is a store that cannot record attempts of one delivery, or not with an answer.
type picky struct {
	*store

	not     uuid.UUID
	err     error
	answers bool
}

func (p picky) Record(ctx context.Context, records []delivery.Record) error {
	if slices.ContainsFunc(records, func(r delivery.Record) bool { return r.Delivery == p.not && (!p.answers || r.Answer != nil) }) {
		return p.err
	}
	return p.store.Record(ctx, records)
}

// A courier that stops begins nothing, records what was under way, and gives up what it
// has: another goes on at once. One whose attempts last too long does not wait for them.
func TestACourierStopsInGoodOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takes time.Duration
		most  time.Duration
		sent  int
	}{"in time": {3 * time.Second, 3 * time.Second, 40}, "too long": {50 * time.Second, 20 * time.Second, 45}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, s := newRig(t), newSightings()
				e := r.store.endpoint(delivery.Endpoint{URL: url("a"), Concurrency: 5, Timeout: time.Minute})
				r.store.tell(e, 40)
				first := r.start(s.see(0, func(ctx context.Context, _ delivery.Message) delivery.Attempt { return takes(ctx, c.takes, good) }))
				time.Sleep(time.Second)
				stopping := time.Now()
				first.stop()
				if took := time.Since(stopping); took > c.most {
					t.Errorf("stopping took %v, want %v at most", took, c.most)
				}
				if n := len(s.seen()); n != 5 {
					t.Errorf("%d attempts, want no more than were under way", n)
				}
				stopped := time.Now()
				r.start(s.see(1, func(context.Context, delivery.Message) delivery.Attempt { return good }))
				time.Sleep(5 * time.Second)
				all := s.seen()
				if len(all) != c.sent || all[5].courier != 1 || all[5].at.Sub(stopped) > 100*time.Millisecond {
					t.Errorf("%d attempts, want %d and the next one at once", len(all), c.sent)
				}
				if n := r.store.count(); n[delivery.StatusDelivered] != 40 {
					t.Errorf("got %v, want all delivered", n)
				}
			})
		})
	}
}

// What is changed at an endpoint holds from the next attempt on, and no buffer outlives it.
func TestAChangedEndpointIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a"), PerMinute: 600})
		ids := r.store.tell(e, 300)
		c := r.start(s.see(0, func(context.Context, delivery.Message) delivery.Attempt { return good }))
		time.Sleep(10 * time.Second)
		r.store.change(e.ID, func(k *kept) { k.URL, k.PerMinute = url("b"), 6000 })
		c.Changed(e.ID)
		changed := time.Now()
		time.Sleep(10 * time.Second)
		var b int
		for _, seen := range s.seen() {
			if seen.url == url("a") && seen.at.After(changed) {
				t.Fatalf("sent to the old URL %v after the change", seen.at.Sub(changed))
			}
			if seen.url == url("b") {
				b++
			}
		}
		if n := len(s.seen()); n != len(ids) || b < 190 {
			t.Errorf("%d attempts, %d of them to the new URL; want 300, and the new pace", n, b)
		}
	})
}
