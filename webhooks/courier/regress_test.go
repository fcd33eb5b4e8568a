package courier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// sightings are what endpoints have seen.
type sightings struct {
	mu   sync.Mutex
	all  []sighting
	live map[string]int // attempts under way by endpoint
	most map[string]int
}

type sighting struct {
	url, id string
	at      time.Time
	courier int
}

func newSightings() *sightings { return &sightings{live: map[string]int{}, most: map[string]int{}} }

// see is a Sender that notes what the nth courier sends, and answers as answer says.
func (s *sightings) see(courier int, answer func(context.Context, delivery.Message) delivery.Attempt) Sender {
	return sends(func(ctx context.Context, m delivery.Message) delivery.Attempt {
		s.mu.Lock()
		s.all = append(s.all, sighting{m.URL, m.ID, time.Now(), courier})
		s.live[m.URL]++
		s.most[m.URL] = max(s.most[m.URL], s.live[m.URL])
		s.mu.Unlock()
		a := answer(ctx, m)
		s.mu.Lock()
		s.live[m.URL]--
		s.mu.Unlock()
		return a
	})
}

func (s *sightings) seen() []sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// mostWithin returns how many of the sightings were in the window of that length with the most.
func mostWithin(all []sighting, window time.Duration) (most int) {
	oldest := 0
	for i, s := range all {
		for s.at.Sub(all[oldest].at) >= window {
			oldest++
		}
		most = max(most, i-oldest+1)
	}
	return most
}

func url(name string) string { return "http://" + name + ".example.com/hooks" }

// p99 is how late deliveries arrive at good endpoints, of which a tenth of the traffic
// goes to one that does as hanging says.
func p99(t *testing.T, hanging func(context.Context, delivery.Message) delivery.Attempt) time.Duration {
	t.Helper()
	r, s := newRig(t), newSightings()
	endpoints := make([]delivery.Endpoint, 10)
	for i := range endpoints {
		endpoints[i] = r.store.endpoint(delivery.Endpoint{URL: url(fmt.Sprint("e", i))})
	}
	c := r.start(s.see(0, func(ctx context.Context, m delivery.Message) delivery.Attempt {
		if m.URL == endpoints[0].URL {
			return hanging(ctx, m)
		}
		return takes(ctx, 20*time.Millisecond, good)
	}))
	told := map[string]time.Time{}
	for range 300 {
		for _, e := range endpoints {
			told[r.store.tell(e, 1)[0].String()] = time.Now()
		}
		c.Wake()
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(10 * time.Second)
	var late []time.Duration
	for _, seen := range s.seen() {
		if seen.url != endpoints[0].URL {
			late = append(late, seen.at.Sub(told[seen.id])+20*time.Millisecond)
		}
	}
	if len(late) != 2700 {
		t.Errorf("%d arrived, want 2700, each once", len(late))
	}
	slices.Sort(late)
	return late[len(late)*99/100]
}

// A slow endpoint clogs the others (convoy #1926).
func TestAnEndpointThatHangsHoldsNoOtherUp(t *testing.T) {
	t.Parallel()
	var alone, beside time.Duration
	synctest.Test(t, func(t *testing.T) {
		alone = p99(t, func(context.Context, delivery.Message) delivery.Attempt { return good })
	})
	synctest.Test(t, func(t *testing.T) { beside = p99(t, hangs) })
	if beside > alone*3/2 {
		t.Errorf("p99 is %v beside an endpoint that hangs, %v alone; want 1.5 times that at most", beside, alone)
	}
}

// A rate limit without effect (convoy #1927), and a bound of concurrency over a fleet.
func TestLimitsHoldOverTheFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		paced := r.store.endpoint(delivery.Endpoint{URL: url("paced"), PerMinute: 30})
		rare := r.store.endpoint(delivery.Endpoint{URL: url("rare"), PerMinute: 2})
		narrow := r.store.endpoint(delivery.Endpoint{URL: url("narrow"), Concurrency: 3})
		answer := func(ctx context.Context, _ delivery.Message) delivery.Attempt {
			return takes(ctx, 700*time.Millisecond, good)
		}
		couriers := []*running{r.start(s.see(0, answer)), r.start(s.see(1, answer))}
		r.store.tell(paced, 100)
		r.store.tell(rare, 8)
		r.store.tell(narrow, 300)
		// One stops in good order, and another comes.
		time.Sleep(70 * time.Second)
		couriers[0].stop()
		couriers = append(couriers, r.start(s.see(2, answer)))
		time.Sleep(30 * time.Second)
		couriers[1].stop()
		time.Sleep(5 * time.Minute)
		if n := r.store.count(); n[delivery.StatusDelivered] != 408 {
			t.Errorf("got %v, want all delivered", n)
		}
		by := map[string][]sighting{}
		for _, seen := range s.seen() {
			by[seen.url] = append(by[seen.url], seen)
		}
		if n := mostWithin(by[paced.URL], time.Minute); n > 30 || n < 28 {
			t.Errorf("%d attempts within a minute, want 30 at most and nearly that", n)
		}
		if n := mostWithin(by[rare.URL], time.Minute); n != 2 {
			t.Errorf("%d attempts within a minute, want 2", n)
		}
		if n := s.most[narrow.URL]; n != 3 {
			t.Errorf("%d attempts at once, want 3", n)
		}
		if len(couriers) != 3 || by[paced.URL][99].courier != 2 {
			t.Errorf("the last attempt was made by courier %d, want the one that is left", by[paced.URL][99].courier)
		}
	})
}

// A 3 s Redis outage kills retrying (outpost #881), a Redis restart leaves workers in
// limbo (svix #1844): no wake-up ever comes, and nothing depends on one.
func TestLostSignalsCostAPollInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
		var fails atomicBool
		r.start(s.see(0, func(context.Context, delivery.Message) delivery.Attempt {
			if fails.get() {
				return bad
			}
			return good
		}))
		for range 20 {
			told := time.Now()
			id := r.store.tell(e, 1)[0].String()
			time.Sleep(3 * time.Second)
			all := s.seen()
			if last := all[len(all)-1]; last.id != id || last.at.Sub(told) > 1100*time.Millisecond {
				t.Fatalf("delivered %v after it was told of, want a second", last.at.Sub(told))
			}
			time.Sleep(7 * time.Second)
		}
		fails.set(true)
		id := r.store.tell(e, 1)[0]
		time.Sleep(45 * time.Second)
		fails.set(false)
		time.Sleep(5 * time.Minute)
		if d, attempts := r.store.delivery(id); d.Status != delivery.StatusDelivered || len(attempts) != 4 {
			t.Errorf("%s after %d attempts, want it delivered by the fourth", d.Status, len(attempts))
		}
	})
}

type atomicBool struct {
	mu sync.Mutex
	is bool
}

func (b *atomicBool) set(is bool) { b.mu.Lock(); defer b.mu.Unlock(); b.is = is }
func (b *atomicBool) get() bool   { b.mu.Lock(); defer b.mu.Unlock(); return b.is }

// A deleted endpoint is still tried (svix #1511), and so is one that is disabled.
func TestAnEndpointThatIsGoneIsLeftAloneAtOnce(t *testing.T) {
	t.Parallel()
	for _, told := range []bool{true, false} {
		for name, leave := range map[string]func(*store, uuid.UUID){
			"deleted":  (*store).remove,
			"disabled": func(s *store, id uuid.UUID) { s.change(id, func(k *kept) { k.Disabled = delivery.DisabledByTenant }) },
		} {
			t.Run(fmt.Sprint(name, " told ", told), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r, s := newRig(t), newSightings()
					e := r.store.endpoint(delivery.Endpoint{URL: url("a"), PerMinute: 600})
					other := r.store.endpoint(delivery.Endpoint{URL: url("b"), PerMinute: 600})
					c := r.start(s.see(0, func(context.Context, delivery.Message) delivery.Attempt { return good }))
					r.store.tell(e, 1000)
					r.store.tell(other, 1000)
					time.Sleep(12*time.Second + 50*time.Millisecond)
					leave(r.store, e.ID)
					gone := time.Now()
					within := renewEvery
					if told {
						c.Changed(e.ID)
						within = 0
					}
					time.Sleep(time.Minute)
					last := map[string]time.Time{}
					for _, seen := range s.seen() {
						last[seen.url] = seen.at
					}
					if d := last[e.URL].Sub(gone); d > within+time.Millisecond || !told && d < 0 {
						t.Errorf("the last attempt was %v after it had gone, want %v at most", d, within)
					}
					if last[other.URL].Sub(gone) < 50*time.Second {
						t.Error("the other endpoint got nothing any more")
					}
				})
			})
		}
	}
}

// Overlapping deliveries when a lease is shorter than the timeout (svix #2181): attempts
// have ended before another process can begin any, though the first is cut off from the
// store, or cannot renew its leases and all else goes well, and every attempt takes as long
// as it may.
func TestAttemptsOfTwoCouriersDoNotOverlap(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{time.Second, 15 * time.Second, time.Minute} {
		for name, cutFrom := range map[string]func(delivery.CourierStore, *atomicBool) delivery.CourierStore{
			"the store":    func(s delivery.CourierStore, cut *atomicBool) delivery.CourierStore { return cutOff{s, cut} },
			"its renewals": func(s delivery.CourierStore, cut *atomicBool) delivery.CourierStore { return unrenewed{s, cut} },
		} {
			t.Run(fmt.Sprint(timeout, " without ", name), func(t *testing.T) {
				t.Parallel()
				testOverlap(t, timeout, cutFrom)
			})
		}
	}
}

func testOverlap(t *testing.T, timeout time.Duration, cutFrom func(delivery.CourierStore, *atomicBool) delivery.CourierStore) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		var cut atomicBool
		first := cutFrom(r.store, &cut)
		e := r.store.endpoint(delivery.Endpoint{URL: url("a"), Timeout: timeout, Concurrency: 4})
		r.store.tell(e, 1000)
		ended := map[int]time.Time{}
		answer := func(courier int) func(ctx context.Context, m delivery.Message) delivery.Attempt {
			return func(ctx context.Context, m delivery.Message) delivery.Attempt {
				a := takes(ctx, m.Timeout-time.Millisecond, good)
				s.mu.Lock()
				defer s.mu.Unlock()
				ended[courier] = time.Now()
				return a
			}
		}
		r.start(s.see(0, answer(0)), func(c *Config) { c.Store = first })
		time.Sleep(100*time.Millisecond + 3*timeout)
		r.start(s.see(1, answer(1)))
		cut.set(true)
		died := time.Now()
		time.Sleep(2*timeout + 2*time.Minute)
		all := s.seen()
		i := slices.IndexFunc(all, func(s sighting) bool { return s.courier == 1 })
		if i < 0 {
			t.Fatal("nobody took the endpoint over")
		}
		if over := all[i].at.Sub(died); over > timeout+delivery.LeaseMargin+time.Second+renewEvery {
			t.Errorf("taken over %v after the death, want %v and a poll", over, timeout+delivery.LeaseMargin)
		}
		if all[i].at.Before(ended[0]) {
			t.Errorf("the second began %v before the last attempt of the first had ended", ended[0].Sub(all[i].at))
		}
		if s.most[e.URL] > 4 {
			t.Errorf("%d attempts at once, want 4", s.most[e.URL])
		}
	})
}

// unrenewed is a store that renews no lease of a process.
type unrenewed struct {
	delivery.CourierStore

	cut *atomicBool
}

func (u unrenewed) RenewEndpoints(ctx context.Context, holder uuid.UUID, ids []uuid.UUID, now time.Time) ([]delivery.Leased, error) {
	if u.cut.get() {
		return nil, errors.New("deadlock detected")
	}
	return u.CourierStore.RenewEndpoints(ctx, holder, ids, now)
}

func (u unrenewed) LeaseEndpoints(ctx context.Context, holder uuid.UUID, now time.Time, limit int) ([]delivery.Leased, error) {
	if u.cut.get() {
		return nil, nil
	}
	return u.CourierStore.LeaseEndpoints(ctx, holder, now, limit)
}

// SSRF by redirect (gogs #8263): a redirect is a failure that is recorded, and followed by
// nobody.
func TestARedirectIsFollowedNowhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
		c := r.start(receiver(t, func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.Copy(io.Discard, q.Body)
			if q.Host != "a.example.com" {
				t.Errorf("asked for %s", q.Host)
			}
			w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}))
		id := r.store.tell(e, 1)[0]
		c.Wake()
		time.Sleep(time.Second)
		d, attempts := r.store.delivery(id)
		if d.Status != delivery.StatusPending || len(attempts) != 1 || attempts[0].Failure != delivery.FailureRedirect {
			t.Errorf("%s after %+v, want one attempt that failed as a redirect", d.Status, attempts)
		}
	})
}

// Silent disable: whoever's endpoint is disabled is told, and so is the operator. And
// events gone while an endpoint was disabled (outpost #611): they are kept as skipped.
func TestNoEndpointIsDisabledInSilence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer delivery.Attempt
		secret string
		why    delivery.Reason
		facts  []string
		events []string
		after  time.Duration
	}{
		"failing": {
			dead, secret, delivery.DisabledFailing,
			[]string{"opened", "failing", "failing", "disabled: failing"},
			[]string{delivery.EndpointFailing, delivery.EndpointFailing, delivery.EndpointDisabled},
			5*24*time.Hour + time.Hour,
		},
		"gone": {
			delivery.Attempt{Verdict: delivery.Gone, Status: 410},
			secret, delivery.DisabledGone,
			[]string{"disabled: gone"},
			[]string{delivery.EndpointDisabled},
			2 * time.Second,
		},
		"secret erased": {
			good, "", delivery.DisabledUnreadable, []string{"disabled: unreadable"}, []string{delivery.EndpointDisabled}, 2 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, s := newRig(t), newSightings()
				e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
				r.store.change(e.ID, func(k *kept) { k.Secrets[0].Key = c.secret })
				ids := r.store.tell(e, 7)
				r.start(s.see(0, func(context.Context, delivery.Message) delivery.Attempt { return c.answer }),
					func(cfg *Config) { cfg.Poll = time.Duration(cmp.Or(int64(c.after/100), 1)) })
				time.Sleep(c.after)
				if got := r.store.state(e.ID); got.Disabled != c.why {
					t.Errorf("the endpoint is disabled: %q, want %q", got.Disabled, c.why)
				}
				if facts := r.told(); !slices.Equal(facts, c.facts) {
					t.Errorf("observers were told %v, want %v", facts, c.facts)
				}
				var types []string
				for _, event := range r.store.events {
					types = append(types, event.Type)
					if event.Except != e.ID || event.Tenant != e.Tenant || event.ID == uuid.Nil {
						t.Errorf("told %+v, want it told to the tenant's other endpoints", event)
					}
				}
				if !slices.Equal(types, c.events) {
					t.Errorf("the tenant was told %v, want %v", types, c.events)
				}
				if n := r.store.count(); n[delivery.StatusSkipped] != len(ids) {
					t.Errorf("got %v, want all kept as skipped", n)
				}
				if name == "secret erased" && len(s.seen()) > 0 {
					t.Error("something was sent that nobody has signed")
				}
			})
		})
	}
}
