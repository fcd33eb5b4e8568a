// Package group coalesces concurrent writes into one transaction: group commit.
package group

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
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
// was kept, and so does a panic. ctx carries the values of one of the callers but never ends: Commit
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
	// Blocked reports whether an error says that a batch has waited for long, such
	// as for a lock of another's. Its items are tried each alone as well, but when
	// a second one is blocked the rest are answered with that: nobody waits for
	// more than three. Default: never.
	Blocked func(err error) bool
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
	if c.Blocked == nil {
		c.Blocked = func(error) bool { return false }
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
		g.write(batch)
	}
}

// next takes up to a batch of those that wait, after those whose caller has gone
// have been let go. It reports false when nobody waits, and then the committer is
// gone.
func (g *Group[T, R]) next() ([]*member[T, R], bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, (*member[T, R]).gone)
	if len(g.waiting) == 0 {
		g.waiting = nil
		g.running--
		return nil, false
	}
	n := min(len(g.waiting), g.config.MaxBatch)
	batch := slices.Clone(g.waiting[:n])
	clear(g.waiting[:n])
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
	blocked := 0
	for i, m := range batch {
		if m.gone() {
			continue
		}
		err := g.try(batch[i : i+1])
		if err == nil {
			continue
		}
		if g.config.Blocked(err) {
			blocked++
		}
		if blocked == 2 || g.config.Down(err) {
			fail(batch[i:], err)
			return
		}
		m.answer(Result[R]{Err: err})
	}
}

// try commits the batch and answers its members, unless nothing was kept.
func (g *Group[T, R]) try(batch []*member[T, R]) error {
	items := make([]T, len(batch))
	for i, m := range batch {
		items[i] = m.item
	}
	results, err := g.safely(context.WithoutCancel(batch[0].ctx), items)
	if err != nil {
		return err
	}
	for i, m := range batch {
		m.answer(results[i])
	}
	return nil
}

// safely commits items. A panic is a failure: it would end the process for the
// fault of one member, and again whenever that is repeated.
func (g *Group[T, R]) safely(ctx context.Context, items []T) (results []Result[R], err error) {
	defer func() {
		if value := recover(); value != nil {
			results, err = nil, &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return g.commit(ctx, items)
}

// PanicError says that writing an item panicked. Nothing of it was kept.
type PanicError struct {
	// Value is what it panicked with. It may hold anything: do not log it.
	Value any
	// Stack is that of the panic, as of [debug.Stack].
	Stack []byte
}

// Error gives the type of the value alone.
func (e *PanicError) Error() string { return fmt.Sprintf("writing panicked with a %T", e.Value) }

// gone answers m and reports true if its caller has stopped waiting.
func (m *member[T, R]) gone() bool {
	err := m.ctx.Err()
	if err != nil {
		m.answer(Result[R]{Err: err})
	}
	return err != nil
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
