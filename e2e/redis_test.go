package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Invariant 10 for Redis: it holds ids, and a window of them, whatever waits.
func TestInvariant10RedisHoldsIDsAlone(t *testing.T) {
	t.Parallel()
	f := startFleet(t, usual)
	ids := f.submitAll(200)
	options, err := redis.ParseURL(f.redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	for _, seen := range []int{20, 100} {
		eventually(t, 20*time.Second, "calls under way", func() bool { return len(f.calls()) > seen })
		holdsNoPayload(t, client)
	}
	f.allSucceeded(ids)
}

func holdsNoPayload(t *testing.T, client *redis.Client) {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 || len(keys) > 200 {
		t.Fatalf("Redis has %d keys (%v), want a small window", len(keys), err)
	}
	for _, key := range keys {
		dump, err := client.Dump(t.Context(), key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		if strings.Contains(dump, prompt) || strings.Contains(dump, secret) {
			t.Errorf("the key %s holds a prompt or a key", key)
		}
	}
}
