package months

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/e2e/history"
	"github.com/penstock-dev/penstock/providers"
)

var providerNames = []string{"first", "second"}

// upstream is the providers, which all processes share. It keeps a log of its
// calls, and knows at each moment which are live.
type upstream struct {
	f *fleet

	mu   sync.Mutex
	log  []history.ProviderCall
	live map[string]*liveCall // by execution, the latest
	// asked counts the calls for one body, so that each has a fate of its own.
	asked map[uint64]int
}

type liveCall struct {
	by    *process
	fence int64
	// disowned says that its process fell silent.
	disowned bool
}

// answerer is a provider as one process reaches it.
type answerer struct {
	p    *process
	name string
}

// Call implements [providers.Provider].
func (a answerer) Call(
	ctx context.Context, req providers.Request, _ func(providers.Chunk),
) (providers.Response, error) {
	u := a.p.f.upstream
	i, done, rnd := u.begin(a.p, req)
	defer done()
	wait, resp, failure := u.fate(a.name, req, rnd)
	over := time.NewTimer(wait)
	defer over.Stop()
	select {
	case <-over.C:
	case <-ctx.Done():
		failure = &providers.Error{Class: providers.Cancelled, Message: "cancelled"}
	case <-a.p.gone:
		failure = &providers.Error{Class: providers.Connection, Message: "the process died"}
	}
	outcome := "success"
	if failure != nil {
		outcome = string(failure.Class)
	}
	if failure != nil {
		u.end(i, outcome, "")
		return providers.Response{}, failure
	}
	u.end(i, outcome, digest(resp.Body))
	return resp, nil
}

// fate says how long a call takes and how it ends.
func (u *upstream) fate(
	provider string, req providers.Request, rnd *rand.Rand,
) (time.Duration, providers.Response, *providers.Error) {
	took := max(500*time.Millisecond, lognormal(rnd, 6*time.Second, 0.9, 2*time.Minute))
	fail := func(after time.Duration, e providers.Error) (time.Duration, providers.Response, *providers.Error) {
		e.Message = "by the plan"
		return after, providers.Response{}, &e
	}
	hint := func() time.Duration { return time.Second + time.Duration(rnd.Int64N(int64(40*time.Second))) }
	switch u.f.plan.at(provider, time.Since(u.f.begun)) {
	case down:
		if rnd.IntN(2) == 0 {
			return fail(10*time.Second, providers.Error{Class: providers.TimeoutConnect})
		}
		return fail(time.Second, providers.Error{Class: providers.Overloaded, HTTPStatus: 503})
	case throttled:
		return fail(200*time.Millisecond, providers.Error{Class: providers.RateLimited, HTTPStatus: 429, RetryAfter: hint()})
	}
	switch n := rnd.IntN(1000); {
	case n < 20:
		return fail(200*time.Millisecond, providers.Error{Class: providers.RateLimited, HTTPStatus: 429, RetryAfter: hint()})
	case n < 35:
		return fail(took/2, providers.Error{Class: providers.ServerError, HTTPStatus: 500})
	case n < 40:
		return fail(took, providers.Error{Class: providers.Truncated, HTTPStatus: 200, Partial: "half"})
	case n < 43:
		return fail(took, providers.Error{Class: providers.TimeoutStall, HTTPStatus: 200})
	case n < 46 && provider == "first":
		return fail(200*time.Millisecond, providers.Error{Class: providers.QuotaExhausted, HTTPStatus: 429})
	}
	return took, providers.Response{
		Body: json.RawMessage(fmt.Sprintf(`{"answer":%d,"to":%q}`, rnd.Uint32(), req.IdempotencyKey)), HTTPStatus: 200,
		Usage: providers.Usage{Known: true, InputTokens: 20, OutputTokens: rnd.Int64N(400)},
	}, nil
}

// begin logs a call and returns its place in the log, what says that it is over,
// and the dice for its fate: the same for the same call of the same question.
//
// It is invariant 3 at the moment that it matters: nobody calls for an execution
// for which somebody else's call is live, unless that one fell silent.
func (u *upstream) begin(p *process, req providers.Request) (int, func(), *rand.Rand) {
	execution, fence := taskOf(req.IdempotencyKey)
	h := fnv.New64a()
	_, _ = h.Write(req.Body)
	question := h.Sum64()
	u.mu.Lock()
	defer u.mu.Unlock()
	if other := u.live[execution]; other != nil && !other.disowned {
		u.f.t.Errorf("at %s %s calls for execution %s under fence %d while %s does so under fence %d (seed %d)",
			u.f.clock(), p.name, execution, fence, other.by.name, other.fence, u.f.plan.seed)
	}
	this := &liveCall{by: p, fence: fence, disowned: p.silent()}
	u.live[execution] = this
	u.asked[question]++
	u.log = append(u.log, history.ProviderCall{
		Task: history.Task{Execution: execution, Fence: fence}, Start: time.Now(),
	})
	over := func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.live[execution] == this {
			delete(u.live, execution)
		}
	}
	return len(u.log) - 1, over, rand.New(rand.NewPCG(u.f.plan.seed^question, uint64(u.asked[question])))
}

func (u *upstream) end(i int, outcome, answer string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.log[i].End, u.log[i].Outcome, u.log[i].Answer = time.Now(), outcome, answer
}

// disown notes that p fell silent: what it calls for is anybody's.
func (u *upstream) disown(p *process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.live {
		if c.by == p {
			c.disowned = true
		}
	}
}

// busiest returns the process with the most calls in flight, of those that are
// well; nil when there is none.
func (u *upstream) busiest() *process {
	u.mu.Lock()
	defer u.mu.Unlock()
	calls := map[*process]int{}
	var most *process
	for _, c := range u.live {
		if c.disowned {
			continue
		}
		calls[c.by]++
		if most == nil || calls[c.by] > calls[most] {
			most = c.by
		}
	}
	return most
}

// repeats reports whether one of the tasks is being called for under a later
// fence.
func (u *upstream) repeats(tasks []history.Task) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, t := range tasks {
		if c := u.live[t.Execution]; c != nil && c.fence > t.Fence {
			return true
		}
	}
	return false
}

func taskOf(key string) (execution string, fence int64) {
	const id = 36 // a UUID; the number of a further call may follow the fence
	number, _, _ := strings.Cut(key[id+1:], "-")
	fence, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		panic("the idempotency key " + key + " does not begin with execution-fence")
	}
	return key[:id], fence
}
