package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Keys in the shared server's own database. The leases expire, so that a test
// that was killed does not keep its database for ever.
const (
	leasePrefix = "penstock:testenv:lease:"
	usedKey     = "penstock:testenv:used" // set of the databases that hold a test's leavings
	leaseTTL    = 15 * time.Minute
)

// errAllLeased says that every database is in use just now.
var errAllLeased = errors.New("every database is leased to another test or holds data that is not a test's")

// Redis returns the URL of an empty database for tb alone, on the server that
// PENSTOCK_TEST_REDIS_URL names, and empties it when tb ends. A database that
// holds data no test left there is never touched.
//
// Databases share the server: channels of publish and subscribe cross from one
// to another, and FLUSHALL empties all of them. A test that sends FLUSHALL,
// or that stops or reconfigures the server, wants [RedisServer].
func Redis(tb testing.TB) string {
	tb.Helper()
	server, err := url.Parse(serverURL(tb, redisVariable))
	if err != nil {
		tb.Fatalf("%s is not a URL such as redis://127.0.0.1:6379/0", redisVariable)
	}
	options, err := redis.ParseURL(server.String())
	if err != nil {
		tb.Fatalf("%s is not a Redis URL: %v", redisVariable, err)
	}
	registry := redis.NewClient(options)
	number, err := leaseDatabase(tb.Context(), registry, options)
	if err != nil {
		_ = registry.Close()
		tb.Fatalf("lease a Redis database for the test: %v", err)
	}
	tb.Cleanup(func() {
		defer registry.Close()
		if err := returnDatabase(context.Background(), registry, options, number); err != nil {
			tb.Errorf("empty the test's Redis database %d: %v", number, err)
		}
	})
	own := *server
	own.Path = "/" + strconv.Itoa(number)
	return own.String()
}

// leaseDatabase waits until a database is free, takes it and empties it.
func leaseDatabase(ctx context.Context, registry *redis.Client, options *redis.Options) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	count, err := countDatabases(ctx, registry)
	if err != nil {
		return 0, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		number, err := takeFree(ctx, registry, options, count)
		if !errors.Is(err, errAllLeased) {
			return number, err
		}
		select {
		case <-ctx.Done():
			return 0, err
		case <-tick.C:
		}
	}
}

// countDatabases asks the server how many databases it has.
func countDatabases(ctx context.Context, registry *redis.Client) (int, error) {
	answer, err := registry.ConfigGet(ctx, "databases").Result()
	if err != nil {
		return 0, fmt.Errorf("ask Redis how many databases it has: %w", err)
	}
	return strconv.Atoi(answer["databases"])
}

// takeFree takes the first database that is neither leased, nor the registry's
// own, nor holding someone's data.
func takeFree(ctx context.Context, registry *redis.Client, options *redis.Options, count int) (int, error) {
	for number := range count {
		if number == options.DB {
			continue
		}
		taken, err := registry.SetNX(ctx, leaseKey(number), "1", leaseTTL).Result()
		if err != nil {
			return 0, fmt.Errorf("take database %d: %w", number, err)
		}
		if !taken {
			continue
		}
		ours, err := claimLeased(ctx, registry, options, number)
		if err != nil || ours {
			return number, err
		}
	}
	return 0, errAllLeased
}

// claimLeased empties a database that this test has the lease of and reports
// true, or keeps off it and reports false if its data is not a test's.
func claimLeased(ctx context.Context, registry *redis.Client, options *redis.Options, number int) (bool, error) {
	database := openDatabase(options, number)
	defer database.Close()
	size, err := database.DBSize(ctx).Result()
	if err != nil {
		return false, fmt.Errorf("count the keys of database %d: %w", number, err)
	}
	used, err := registry.SIsMember(ctx, usedKey, number).Result()
	if err != nil {
		return false, fmt.Errorf("look up database %d: %w", number, err)
	}
	if size > 0 && !used {
		return false, registry.Del(ctx, leaseKey(number)).Err()
	}
	if err := registry.SAdd(ctx, usedKey, number).Err(); err != nil {
		return false, fmt.Errorf("note database %d as used: %w", number, err)
	}
	return true, database.FlushDB(ctx).Err()
}

// returnDatabase empties a leased database and lets others have it.
func returnDatabase(ctx context.Context, registry *redis.Client, options *redis.Options, number int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	database := openDatabase(options, number)
	defer database.Close()
	if err := database.FlushDB(ctx).Err(); err != nil {
		return err
	}
	if err := registry.SRem(ctx, usedKey, number).Err(); err != nil {
		return err
	}
	return registry.Del(ctx, leaseKey(number)).Err()
}

func openDatabase(options *redis.Options, number int) *redis.Client {
	own := *options
	own.DB = number
	return redis.NewClient(&own)
}

func leaseKey(number int) string { return leasePrefix + strconv.Itoa(number) }
