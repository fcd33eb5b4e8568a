// Package resilience measures what Penstock makes of providers that fail,
// throttle, hang and straggle, beside what a loop makes of them: the same
// providers, the same arrivals, in virtual time. The providers are simulated;
// store, dispatcher and runner are the real ones.
//
// A setting is drawn from numbers: the same one brings the same incidents, and
// the same fate to the same call for the same question. How goroutines take turns
// is not in it.
package resilience

import (
	"cmp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// setting is what a scenario gives to each contender alike.
type setting struct {
	seed      uint64
	providers []provider
	arrivals  []arrival
	// deadline is how long a job has; default one hour.
	deadline time.Duration
	// until is when to stop looking, whatever is still queued; zero: when all jobs
	// have ended.
	until time.Duration
	// size is how many calls of one provider Penstock may make at once; default: an
	// equal part of what the loops have.
	size int
	// attempts is the route's max_attempts; default the loops' five tries.
	attempts int
	// mode is the route's; default active_passive.
	mode jobs.Mode
	// hedge is the route's hedge budget; zero: nothing is hedged.
	hedge float64
	// untold keeps the providers' limits from Penstock.
	untold bool
	// processes is how many processes Penstock has; default 1.
	processes int
	// slowly makes Penstock look about itself every two minutes in times of trouble,
	// and every hour otherwise: else a month would cost too much.
	slowly  bool
	trouble []span
	// meanwhile, if set, is done to Penstock while it works.
	meanwhile func(f *fleet)
}

// contender is who asks the providers.
type contender struct {
	name string
	// run asks for what the world's setting says, in a bubble, and returns when all
	// of it has ended.
	run func(t *testing.T, w *world)
}

// The contenders are the columns of the table.
var (
	penstock = contender{"Penstock", runPenstock}
	plain    = contender{"plain loop", loop{}.run}
	obeying  = contender{"plain loop that obeys Retry-After", loop{obeys: true}.run}

	contenders = []contender{penstock, plain, obeying}
)

// world is the providers as one contender meets them, and all that is seen.
type world struct {
	setting

	begun     time.Time
	upstreams []*upstream

	mu    sync.Mutex
	jobs  []job
	calls []*call
	// errors are those of Penstock's estimates of an answer's length.
	errors []float64
	// asked counts the calls for a question at a provider, so that each has a fate
	// of its own.
	asked map[askedFor]uint64
}

type askedFor struct{ provider, question int }

// job is what became of an arrival.
type job struct {
	arrival

	// ended is when, since the beginning; zero: it has not.
	ended time.Duration
	ok    bool
}

// took is how long the job took.
func (j job) took() time.Duration { return j.ended - j.at }

// failed reports whether there was no answer within d.
func (j job) failed(d time.Duration) bool { return !j.ok || j.took() > d }

// call is one request to a provider. Times are since the beginning, and zero for
// what did not happen.
type call struct {
	provider, question    int
	at, firstToken, ended time.Duration
	outcome               string
	// down says that the provider was not well when it began, early that it began
	// before a hint allowed it, throttled that it was refused for a limit.
	down, early, throttled    bool
	inputTokens, outputTokens int
}

// play lets a contender meet what a setting brings.
func play(t *testing.T, s setting, who contender) *world {
	t.Helper()
	var w *world
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(s)
		who.run(t, w)
	})
	return w
}

func newWorld(s setting) *world {
	s.deadline = cmp.Or(s.deadline, time.Hour)
	s.processes = cmp.Or(s.processes, 1)
	s.attempts = cmp.Or(s.attempts, tries)
	s.size = cmp.Or(s.size, workers/len(s.providers))
	w := &world{setting: s, begun: time.Now(), asked: map[askedFor]uint64{}}
	for i, p := range s.providers {
		w.upstreams = append(w.upstreams, newUpstream(w, i, p))
	}
	for _, a := range s.arrivals {
		w.jobs = append(w.jobs, job{arrival: a})
	}
	return w
}

func (w *world) now() time.Duration { return time.Since(w.begun) }

// sleepUntil waits until a time since the beginning.
func (w *world) sleepUntil(at time.Duration) { time.Sleep(at - w.now()) }

// over reports whether the time to look is over.
func (w *world) over() bool { return w.until > 0 && w.now() >= w.until }

// end notes that a job ended, at a time since the beginning.
func (w *world) end(i int, at time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[i].ended, w.jobs[i].ok = at, ok
}
