// Package courier delivers: it takes what is due, sends it, and records what became of
// it. It holds endpoints, not deliveries: one process at a time sends to an endpoint, so
// that its concurrency, rate limit, breaker and order are that process' own business and
// hold for the whole fleet.
package courier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Sender makes one attempt: a [delivery.Sender]. It returns when the message's timeout is
// over, at the latest, or ctx ends.
type Sender interface {
	Send(ctx context.Context, m delivery.Message) delivery.Attempt
}

// Config is what a [Courier] needs. Store, Sender, Holder and PublicURL are required.
type Config struct {
	Store  delivery.CourierStore
	Sender Sender
	// Holder names this process as holder of leases.
	Holder uuid.UUID
	// PublicURL is where callers find the API: bodies say where a job's answer is.
	PublicURL string
	// Queues says how many attempts may be under way.
	Queues Queues
	// Retention is how long jobs are kept: bodies say until when.
	Retention jobs.Retention
	// Poll is how late a lost [Courier.Wake] may be noticed; default 1 s.
	Poll time.Duration
	// Grace is how long attempts may go on once Run's context has ended; default 15 s.
	Grace    time.Duration
	Observer Observer
}

// flushTime bounds what is still written once the last attempt has ended.
const flushTime = 5 * time.Second

// Courier delivers. Make one with [New].
type Courier struct {
	cfg     Config
	slots   *slots
	records *recorder
	reader  *reader
	memory  *budget

	wake, swept chan struct{}
	changes     *changes
	troubles    troubles
	// unreached says that the store could not be reached the last time.
	unreached atomic.Bool
	// crowded says that there are more endpoints with something due than may be held.
	crowded atomic.Bool

	running, background sync.WaitGroup

	mu    sync.Mutex
	turns map[uuid.UUID]*turn
	// ended are endpoints to be given up.
	ended []uuid.UUID
	// expected are when something is due of what nobody holds, as far as is known.
	expected times
}

// New returns a courier, or an error that names the field at fault.
func New(cfg Config) (*Courier, error) {
	switch {
	case cfg.Store == nil:
		return nil, errors.New("courier: Store is missing")
	case cfg.Sender == nil:
		return nil, errors.New("courier: Sender is missing")
	case cfg.Holder == uuid.Nil:
		return nil, errors.New("courier: Holder is missing")
	case cfg.PublicURL == "":
		return nil, errors.New("courier: PublicURL is missing")
	case cfg.Poll < 0, cfg.Grace < 0:
		return nil, errors.New("courier: Poll and Grace cannot be negative")
	case cfg.Queues.Live < 0, cfg.Queues.Slow < 0, cfg.Queues.Bulk < 0:
		return nil, errors.New("courier: Queues: a queue cannot have less than no slot")
	}
	if err := cfg.Retention.Validate(); err != nil {
		return nil, fmt.Errorf("courier: Retention: %w", err)
	}
	cfg.Queues = cfg.Queues.filled()
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Grace == 0 {
		cfg.Grace = 15 * time.Second
	}
	c := &Courier{
		cfg: cfg, slots: newSlots(cfg.Queues), memory: newBudget(), changes: newChanges(),
		wake: make(chan struct{}, 1), swept: make(chan struct{}, 1), turns: make(map[uuid.UUID]*turn),
	}
	c.records = newRecorder(c)
	c.reader = &reader{
		store: cfg.Store, compose: newComposer(cfg.PublicURL, cfg.Retention), turns: make(chan struct{}, readsAtOnce),
	}
	return c, nil
}

// Wake says that there may be something to send. It never blocks; many calls in a row
// are one.
func (c *Courier) Wake() { poke(c.wake) }

// Changed says that endpoints were changed, or deliveries of theirs: redelivered,
// replayed, cancelled. No names: any may have been. What this process has read of them it
// reads again before it begins another attempt; when one change comes after another, in
// the tenth of a second after it, for somebody who changes things all the time must keep
// nothing from being sent. It does not wait for that.
func (c *Courier) Changed(endpoints ...uuid.UUID) {
	if now := time.Now(); c.changes.add(endpoints, now) {
		c.tell(endpoints, now)
	}
	poke(c.swept)
	c.Wake()
}

// Run delivers until ctx ends. Then it begins no attempt, lets those under way end for as
// long as Config.Grace says, records them, gives up its leases and returns nil: within
// Grace and some seconds.
func (c *Courier) Run(ctx context.Context) error {
	work, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	attempts, cut := context.WithCancel(work)
	defer cut()
	sweeping := new(sync.WaitGroup)
	sweeping.Go(func() { c.sweeps(ctx) })
	c.background.Go(func() { c.renewals(work) })
	c.background.Go(func() { c.records.run(work) })

	c.looks(ctx, work, attempts)

	done := make(chan struct{})
	c.each(func(t *turn) { t.mail.post(func(to *letters) { to.stop = true }) })
	go func() {
		defer close(done)
		c.running.Wait()
	}()
	if !endsWithin(done, c.cfg.Grace) {
		cut()
	}
	if !endsWithin(done, flushTime) {
		c.each(func(t *turn) { t.mail.post(func(to *letters) { to.quit = true }) })
	}
	<-done
	c.release(work)
	abort()
	c.background.Wait()
	sweeping.Wait()
	return nil
}

// endsWithin reports whether done was closed in time.
func endsWithin(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// reached takes note of whether the store could be reached.
func (c *Courier) reached(err error) { c.unreached.Store(err != nil && away(err)) }

// each does something with each turn.
func (c *Courier) each(do func(*turn)) {
	for _, t := range c.holding() {
		do(t)
	}
}

// holding returns the turns there are.
func (c *Courier) holding() []*turn {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*turn, 0, len(c.turns))
	for _, t := range c.turns {
		all = append(all, t)
	}
	return all
}

// expect says that something will be due at a time; zero: that is not known.
func (c *Courier) expect(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected.add(at)
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
