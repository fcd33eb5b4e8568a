package resilience

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// upstream is a simulated provider at work. It answers as an adapter does, and
// keeps the timeouts it is given.
type upstream struct {
	provider

	w     *world
	index int

	mu               sync.Mutex
	requests, tokens *bucket
	// told is until when it has asked to wait, and since when that is known to
	// whoever asked.
	told []span
}

var _ providers.Provider = (*upstream)(nil)

func newUpstream(w *world, index int, p provider) *upstream {
	u := &upstream{provider: p, w: w, index: index}
	if p.requestsPerMinute > 0 {
		u.requests = &bucket{perMinute: float64(p.requestsPerMinute)}
	}
	if p.outputTokens > 0 {
		u.tokens = &bucket{perMinute: float64(p.outputTokens)}
	}
	return u
}

// Call implements [providers.Provider].
func (u *upstream) Call(
	ctx context.Context, req providers.Request, onChunk func(providers.Chunk),
) (providers.Response, error) {
	question := questionOf(req.Body)
	c, f := u.begin(question)
	failure := u.act(ctx, c, f, req.Timeouts, onChunk)
	u.end(c, failure)
	if failure != nil {
		return providers.Response{}, failure
	}
	return providers.Response{
		Body:  json.RawMessage(`{"answer":` + strconv.Itoa(question) + `}`),
		Model: req.Model, HTTPStatus: 200, TimeToFirstToken: c.firstToken - c.at,
		Usage: providers.Usage{Known: true, InputTokens: int64(c.inputTokens), OutputTokens: int64(c.outputTokens)},
	}, nil
}

// ask is the body of a question, and questionOf reads it back.
func ask(model string, question int) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(
		`{"model":%q,"messages":[{"role":"user","content":"question %d"}]}`, model, question))
}

func questionOf(body json.RawMessage) int {
	_, rest, _ := strings.Cut(string(body), "question ")
	digits, _, _ := strings.Cut(rest, `"`)
	question, err := strconv.Atoi(digits)
	if err != nil {
		panic("a body asks no question of ours")
	}
	return question
}

// begin logs a call and draws how it goes.
func (u *upstream) begin(question int) (*call, fate) {
	w, at := u.w, u.w.now()
	asked := w.arrivals[question]
	c := &call{
		provider: u.index, question: question, at: at, down: u.incidentAt(at) != nil,
		inputTokens: asked.input, outputTokens: asked.output,
	}
	w.mu.Lock()
	w.calls = append(w.calls, c)
	w.asked[askedFor{u.index, question}]++
	n := w.asked[askedFor{u.index, question}]
	w.mu.Unlock()
	rnd := rand.New(rand.NewPCG(w.seed^uint64(u.index)<<32^n<<40, uint64(question)))
	f := u.draw(rnd, at, asked.output)
	if wait := u.admit(c); wait > 0 && !c.down {
		c.throttled = true
		f = fate{first: 100 * time.Millisecond, failure: &providers.Error{
			Class: providers.RateLimited, HTTPStatus: 429, RetryAfter: max(wait, u.hint), Message: "a limit is reached",
		}}
	}
	return c, f
}

// admit returns how long to wait for room, or takes it. It notes whether the call
// came earlier than asked for.
func (u *upstream) admit(c *call) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, s := range u.told {
		c.early = c.early || s.from < c.at && c.at < s.to
	}
	wait := max(u.requests.wait(c.at, 1), u.tokens.wait(c.at, 0))
	if wait == 0 {
		u.requests.take(1)
		u.tokens.take(float64(c.outputTokens))
	}
	return wait
}

// act lets the time of a call pass, within its timeouts.
func (u *upstream) act(
	ctx context.Context, c *call, f fate, within providers.Timeouts, onChunk func(providers.Chunk),
) *providers.Error {
	total := orForever(within.Total)
	atMost, late := orForever(within.FirstToken), providers.TimeoutFirstToken
	if total < atMost {
		atMost, late = total, providers.TimeoutTotal
	}
	if failure := pass(ctx, f.first, atMost, late); failure != nil {
		return failure
	}
	if f.failure != nil {
		return f.failure
	}
	c.firstToken = u.w.now()
	if onChunk != nil {
		onChunk(providers.Chunk{Data: json.RawMessage(`{}`), Token: true})
	}
	return pass(ctx, f.rest, total-f.first, providers.TimeoutTotal)
}

// pass lets d pass, but at most so much of it.
func pass(ctx context.Context, d, atMost time.Duration, late providers.Class) *providers.Error {
	over := time.NewTimer(min(d, atMost))
	defer over.Stop()
	select {
	case <-ctx.Done():
		return &providers.Error{Class: providers.Cancelled, Message: "cancelled"}
	case <-over.C:
	}
	if d > atMost {
		return &providers.Error{Class: late, Message: "it took too long"}
	}
	return nil
}

func orForever(d time.Duration) time.Duration {
	if d == 0 {
		return 365 * day
	}
	return d
}

// end closes a call. A hint in its answer is known to the caller from here on.
func (u *upstream) end(c *call, failure *providers.Error) {
	c.ended, c.outcome = u.w.now(), "success"
	if failure == nil {
		return
	}
	c.outcome = string(failure.Class)
	if failure.RetryAfter > 0 {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.told = append(u.told, span{c.ended, c.ended + failure.RetryAfter})
		if len(u.told) > 1 && u.told[0].to < c.ended {
			u.told = u.told[1:]
		}
	}
}

// bucket is a provider's own count of what it has let through: a minute's worth
// at most, filled evenly, empty at first, as if it had been in use before. Nil is
// no limit.
type bucket struct {
	perMinute, level float64
	filled           time.Duration
}

// wait returns how long until there is room for n.
func (b *bucket) wait(now time.Duration, n float64) time.Duration {
	if b == nil {
		return 0
	}
	b.level = min(b.perMinute, b.level+(now-b.filled).Minutes()*b.perMinute)
	b.filled = now
	if b.level >= n {
		return 0
	}
	wait := time.Duration((n - b.level) / b.perMinute * float64(time.Minute))
	return wait.Truncate(time.Millisecond) + time.Millisecond
}

func (b *bucket) take(n float64) {
	if b != nil {
		b.level -= n
	}
}
