package sealed

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// loads counts how often a key is loaded.
type loads struct {
	n   atomic.Int32
	err error
	// takes is how long a load takes.
	takes time.Duration
}

func (l *loads) load(ctx context.Context) (dataKey, error) {
	l.n.Add(1)
	select {
	case <-ctx.Done():
		return dataKey{}, ctx.Err()
	case <-time.After(l.takes):
		return dataKey{}, l.err
	}
}

func TestAKeyIsKeptForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, l := newCache(4), &loads{takes: time.Second}
		get := func() {
			if _, err := c.get(t.Context(), cacheKey{tenant: "acme"}, l.load); err != nil {
				t.Error(err)
			}
		}
		get()
		time.Sleep(cacheFor - l.takes - time.Millisecond) // counted from when the store was asked
		get()
		if n := l.n.Load(); n != 1 {
			t.Errorf("loaded %d times while fresh, want once", n)
		}
		time.Sleep(time.Millisecond)
		get()
		if n := l.n.Load(); n != 2 {
			t.Errorf("loaded %d times, want again after %v", n, cacheFor)
		}
	})
}

func TestAFailureIsNotKept(t *testing.T) {
	t.Parallel()
	c, l := newCache(4), &loads{err: errors.New("the store is away")}
	for range 2 {
		if _, err := c.get(t.Context(), cacheKey{tenant: "acme"}, l.load); !errors.Is(err, l.err) {
			t.Errorf("got %v, want what the load said", err)
		}
	}
	if n := l.n.Load(); n != 2 {
		t.Errorf("loaded %d times, want at each call", n)
	}
}

// Of many who want a key at once one asks the store, and one who gives up takes
// it from nobody.
func TestManyShareOneLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, l := newCache(4), &loads{takes: time.Second}
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := c.get(leaving, cacheKey{tenant: "acme"}, l.load); !errors.Is(err, context.Canceled) {
				t.Errorf("gave up: got %v", err)
			}
		})
		synctest.Wait()
		for range 50 {
			all.Go(func() {
				if _, err := c.get(t.Context(), cacheKey{tenant: "acme"}, l.load); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		leave()
		all.Wait()
		if n := l.n.Load(); n != 1 {
			t.Errorf("loaded %d times, want once", n)
		}
	})
}

func TestALoadIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, l := newCache(4), &loads{takes: time.Hour}
		begin := time.Now()
		if _, err := c.get(t.Context(), cacheKey{tenant: "acme"}, l.load); err == nil {
			t.Error("a load that hangs succeeded")
		}
		if took := time.Since(begin); took != loadTimeout {
			t.Errorf("took %v, want %v", took, loadTimeout)
		}
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	c, l := newCache(8), &loads{}
	for range 100 {
		if _, err := c.get(t.Context(), cacheKey{id: newID(t)}, l.load); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.entries); n != 8 {
		t.Errorf("%d keys are held, want 8", n)
	}
}
