package queue_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// link is a hook between a client and its Redis that can be cut, and that
// counts the scripts that ask a pending list for a task.
type link struct {
	cut   atomic.Bool
	looks atomic.Int64
	// pipelines counts the pipelines sent, also those that the cut stopped.
	pipelines atomic.Int64
}

var errCut = errors.New("the link is cut")

// linked puts a link into client.
func linked(client redis.UniversalClient) *link {
	l := new(link)
	client.AddHook(l)
	return l
}

func (l *link) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *link) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) > 6 && cmd.Name() == "evalsha" && args[2] == 4 {
			if key, ok := args[3].(string); ok && strings.HasSuffix(key, ":pending") {
				l.looks.Add(1)
			}
		}
		if l.cut.Load() {
			cmd.SetErr(errCut)
			return errCut
		}
		return next(ctx, cmd)
	}
}

func (l *link) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		l.pipelines.Add(1)
		if l.cut.Load() {
			for _, cmd := range cmds {
				cmd.SetErr(errCut)
			}
			return errCut
		}
		return next(ctx, cmds)
	}
}

// reports collects what a queue reports.
type reports struct {
	mu   sync.Mutex
	errs []error
}

func (r *reports) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func (r *reports) all() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.errs)
}

// receive returns the next value of c, or fails t when none comes in time. In
// a bubble the time is the bubble's.
func receive[T any](t testing.TB, c <-chan T, within time.Duration, what string) (value T) {
	t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case value = <-c:
	case <-timer.C:
		t.Fatalf("waited %v for %s", within, what)
	}
	return value
}

// keysOf lists all keys in the client's database.
func keysOf(t testing.TB, client redis.UniversalClient) []string {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatalf("KEYS = %v", err)
	}
	slices.Sort(keys)
	return keys
}
