package sealed

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"
)

const (
	// cacheFor is how long an unwrapped key is used without asking the store
	// again. An erased key has stopped working everywhere after that.
	cacheFor = 30 * time.Second
	// cacheSize is how many unwrapped keys a process holds at most.
	cacheSize = 4096
	// loadTimeout bounds one look into the store, whoever waits for it.
	loadTimeout = 15 * time.Second
)

// cacheKey is a tenant, for its active key, or the id of any key.
type cacheKey struct {
	tenant string
	id     uuid.UUID
}

type cacheEntry struct {
	key dataKey
	// asked is when the store was asked, not when it answered.
	asked time.Time
}

// cache holds unwrapped keys for cacheFor, at most size of them. Failures are
// not kept.
type cache struct {
	size int

	mu      sync.Mutex
	entries map[cacheKey]cacheEntry
	loads   singleflight.Group
}

func newCache(size int) *cache { return &cache{size: size, entries: map[cacheKey]cacheEntry{}} }

// get returns the key, loading it when it is not there or not fresh. Those who
// want the same wait for one load; one that gives up does not take it from the
// others.
func (c *cache) get(
	ctx context.Context, want cacheKey, load func(context.Context) (dataKey, error),
) (dataKey, error) {
	if k, ok := c.fresh(want); ok {
		return k, nil
	}
	loaded := c.loads.DoChan(want.tenant+"\x00"+string(want.id[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		asked := time.Now()
		k, err := load(ctx)
		if err == nil {
			c.put(want, cacheEntry{key: k, asked: asked})
		}
		return k, err
	})
	select {
	case r := <-loaded:
		k, _ := r.Val.(dataKey)
		return k, r.Err
	case <-ctx.Done():
		return dataKey{}, ctx.Err()
	}
}

func (c *cache) fresh(want cacheKey) (dataKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[want]
	return e.key, ok && time.Since(e.asked) < cacheFor
}

// put makes room by dropping what is not fresh, and if that is nothing, any.
func (c *cache) put(k cacheKey, e cacheEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.entries[k]; !there && len(c.entries) >= c.size {
		maps.DeleteFunc(c.entries, func(_ cacheKey, e cacheEntry) bool { return time.Since(e.asked) >= cacheFor })
		for other := range c.entries {
			if len(c.entries) < c.size {
				break
			}
			delete(c.entries, other)
		}
	}
	c.entries[k] = e
}
