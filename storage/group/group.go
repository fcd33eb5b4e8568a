// Package group coalesces concurrent writes into one transaction: group commit.
package group

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed says that the group was closed before the call.
var ErrClosed = errors.New("group is closed")

// Result is what became of one member of a batch.
type Result[R any] struct {
	Value R
	// Err is this member's own failure. It does not touch the others.
	Err error
}

// Commit writes items in one transaction and returns when that is durable, with
// one result for each item, in order. An error says that nothing of the batch
// was kept. ctx carries the values of one of the callers but never ends: Commit
// bounds itself.
type Commit[T, R any] func(ctx context.Context, items []T) ([]Result[R], error)

// Config bounds a [Group].
type Config struct {
	// MaxBatch is how many items share a transaction at most; default 128. One
	// turns coalescing off.
	MaxBatch int
	// Committers is how many batches are under way at once; default 1.
	Committers int
	// Down reports whether an error of a batch would hit every item alike, such
	// as a database that cannot be reached: then all are answered with it at
	// once. Any other failure of a batch is taken for the fault of one member:
	// its items are tried again, each alone. Default: never.
	Down func(err error) bool
}

// Group commits items in batches: what arrives while all committers are busy
// waits for the next batch. An item that meets an idle committer is written at
// once, so a lone caller waits for nobody.
type Group[T, R any] struct {
	config Config
	commit Commit[T, R]

	mu         sync.Mutex
	waiting    []*member[T, R]
	running    int
	closed     bool
	committers sync.WaitGroup
}

type member[T, R any] struct {
	ctx  context.Context //nolint:containedctx // belongs to one call of Do, and is dropped with it
	item T
	// result is set before done is closed.
	result Result[R]
	done   chan struct{}
}

// New returns a group that writes with commit. Zero fields of c get their
// defaults.
func New[T, R any](c Config, commit Commit[T, R]) *Group[T, R] {
	if c.MaxBatch <= 0 {
		c.MaxBatch = 128
	}
	if c.Committers <= 0 {
		c.Committers = 1
	}
	if c.Down == nil {
		c.Down = func(error) bool { return false }
	}
	return &Group[T, R]{config: c, commit: commit}
}

// Do writes item with whatever else is to be written, and returns its own
// result once that is durable.
//
// A caller whose ctx ends stops waiting and gets the context's error. Its item
// may be written all the same; it is not, if no batch had taken it yet.
func (g *Group[T, R]) Do(ctx context.Context, item T) (R, error) {
	m := &member[T, R]{ctx: ctx, item: item, done: make(chan struct{})}
	if !g.enqueue(m) {
		return m.result.Value, ErrClosed
	}
	select {
	case <-m.done:
		return m.result.Value, m.result.Err
	case <-ctx.Done():
		var none R
		return none, context.Cause(ctx)
	}
}

// Close refuses further items and waits until all that were taken in are
// answered. Closing twice is harmless.
func (g *Group[T, R]) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.committers.Wait()
}

// enqueue adds m to those that wait and starts a committer if one is free.
func (g *Group[T, R]) enqueue(m *member[T, R]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.waiting = append(g.waiting, m)
	if g.running < g.config.Committers {
		g.running++
		g.committers.Go(g.drain)
	}
	return true
}

// drain commits batches until nobody waits.
func (g *Group[T, R]) drain() {
	for {
		batch, ok := g.next()
		if !ok {
			return
		}
		if len(batch) > 0 {
			g.write(batch)
		}
	}
}

// next takes up to a batch of those that wait, without those whose caller has
// gone. It reports false when nobody waits, and then the committer is gone.
func (g *Group[T, R]) next() ([]*member[T, R], bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.waiting = nil
		g.running--
		return nil, false
	}
	n := min(len(g.waiting), g.config.MaxBatch)
	batch := make([]*member[T, R], 0, n)
	for i, m := range g.waiting[:n] {
		g.waiting[i] = nil
		if err := m.ctx.Err(); err != nil {
			m.answer(Result[R]{Err: err})
			continue
		}
		batch = append(batch, m)
	}
	g.waiting = g.waiting[n:]
	return batch, true
}

// write commits the batch, or else each of its members alone, so that one that
// breaks a transaction breaks no other's.
func (g *Group[T, R]) write(batch []*member[T, R]) {
	err := g.try(batch)
	if err == nil {
		return
	}
	if len(batch) == 1 || g.config.Down(err) {
		fail(batch, err)
		return
	}
	for i := range batch {
		alone := batch[i : i+1]
		err := g.try(alone)
		if err != nil && g.config.Down(err) {
			fail(batch[i:], err)
			return
		}
		if err != nil {
			fail(alone, err)
		}
	}
}

// try commits the batch and answers its members, unless nothing was kept.
func (g *Group[T, R]) try(batch []*member[T, R]) error {
	items := make([]T, len(batch))
	for i, m := range batch {
		items[i] = m.item
	}
	results, err := g.commit(context.WithoutCancel(batch[0].ctx), items)
	if err != nil {
		return err
	}
	for i, m := range batch {
		m.answer(results[i])
	}
	return nil
}

func (m *member[T, R]) answer(r Result[R]) {
	m.result = r
	close(m.done)
}

func fail[T, R any](batch []*member[T, R], err error) {
	for _, m := range batch {
		m.answer(Result[R]{Err: err})
	}
}
