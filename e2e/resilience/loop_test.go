package resilience

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/backoff"
	"github.com/penstock-dev/penstock/providers"
)

// workers is how many calls a contender may make at once, and tries how many it
// makes for one job.
const workers, tries = 64, 5

// loop is what is written first round a call: so many workers that take jobs as
// they come, and try each so many times with exponential backoff. Where there are
// several providers the tries take turns, which most do not think of.
type loop struct {
	// obeys waits as long as an answer's Retry-After says before the next try, if
	// it says so.
	obeys bool
}

var pauses = backoff.Policy{Base: time.Second, Cap: time.Minute}

func (l loop) run(t *testing.T, w *world) {
	t.Helper()
	queue := make(chan int, len(w.jobs))
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for i := range queue {
				if w.over() {
					return
				}
				ok := l.do(t.Context(), w, i)
				w.end(i, w.now(), ok)
			}
		})
	}
	for i, j := range w.jobs {
		w.sleepUntil(j.at)
		queue <- i
	}
	close(queue)
	working.Wait()
}

// do makes the tries of one job.
func (l loop) do(ctx context.Context, w *world, i int) bool {
	targets := w.targets(w.jobs[i].model)
	rnd := rand.New(rand.NewPCG(w.seed, uint64(i)))
	for n := range tries {
		_, err := targets[n%len(targets)].Call(ctx, providers.Request{
			Body: ask("", i), Timeouts: jobs.DefaultTimeouts(),
		}, nil)
		if err == nil {
			return true
		}
		if n < tries-1 {
			time.Sleep(l.pause(rnd, n, err))
		}
	}
	return false
}

// pause is how long to wait after try n.
func (l loop) pause(rnd *rand.Rand, n int, err error) time.Duration {
	if e, ok := errors.AsType[*providers.Error](err); ok && l.obeys && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	return time.Duration(rnd.Float64() * float64(pauses.Ceiling(n)))
}

// targets returns the providers that a job may go to, in order.
func (w *world) targets(model string) []*upstream {
	if model == "" {
		return w.upstreams
	}
	for i, u := range w.upstreams {
		if model == u.name+"/m" {
			return w.upstreams[i : i+1]
		}
	}
	panic("there is no provider for " + model)
}

func TestLoopWaitsWithFullJitter(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 1))
	throttled := &providers.Error{Class: providers.RateLimited, RetryAfter: 7 * time.Second}
	for n, most := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		var waits []float64
		for range 5000 {
			waits = append(waits, (loop{}).pause(rnd, n, throttled).Seconds()/most.Seconds())
		}
		// A time between zero and the ceiling, each as likely as the other.
		if m, s := mean(waits), spread(waits); m < 0.48 || m > 0.52 || s < 0.28 || s > 0.30 {
			t.Errorf("try %d: waits have mean %.3f and spread %.3f of %s, want 0.5 and 0.289", n, m, s, most)
		}
	}
	if got := (loop{}).pause(rnd, 20, throttled); got > time.Minute {
		t.Errorf("a wait of %s is longer than the cap", got)
	}
	obeys := loop{obeys: true}
	if got := obeys.pause(rnd, 0, throttled); got != throttled.RetryAfter {
		t.Errorf("obeying waits %s, want the hint of %s", got, throttled.RetryAfter)
	}
	if got := obeys.pause(rnd, 0, &providers.Error{Class: providers.Overloaded}); got > time.Second {
		t.Errorf("obeying waits %s without a hint, want at most a second", got)
	}
}

func TestLoopTriesFiveTimes(t *testing.T) {
	t.Parallel()
	down := usual("a")
	down.incidents = []incident{{to: day, mode: refusing}}
	w := play(t, setting{providers: []provider{down}, arrivals: []arrival{{at: time.Second}, {at: 2 * time.Second}}}, plain)
	if len(w.calls) != 2*tries || w.jobs[0].ok || w.jobs[1].ok {
		t.Errorf("%d calls for %+v, want %d and no success", len(w.calls), w.jobs, 2*tries)
	}
	down.incidents[0].to = 3 * time.Second
	w = play(t, setting{providers: []provider{down, usual("b")}, arrivals: []arrival{{at: time.Second}}}, plain)
	if len(w.calls) != 2 || !w.jobs[0].ok || !w.calls[0].down || w.calls[1].provider != 1 {
		t.Errorf("%d calls for %+v, want one in vain and one to the other provider", len(w.calls), w.jobs)
	}
}
