package embedredis_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/embedredis"
)

// A key expires by the bubble's clock.
func TestKeysExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := embedredis.Start()
		defer server.Close()
		ctx, client := t.Context(), server.Client()
		if err := client.Set(ctx, "key", "value", time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Minute)
		if got, err := client.Get(ctx, "key").Result(); got != "value" {
			t.Errorf("after 59 minutes GET = %q, %v", got, err)
		}
		time.Sleep(2 * time.Minute)
		if got, err := client.Get(ctx, "key").Result(); err == nil {
			t.Errorf("after 61 minutes GET = %q, want nothing", got)
		}
	})
}

// A pipeline larger than any buffer on the way neither hangs nor loses.
func TestLargePipeline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := embedredis.Start()
		defer server.Close()
		value := strings.Repeat("x", 10_000)
		cmds, err := server.Client().Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
			for range 500 {
				pipe.RPush(t.Context(), "list", value)
				pipe.LIndex(t.Context(), "list", 0)
			}
			return nil
		})
		if err != nil || len(cmds) != 1000 {
			t.Fatalf("%d answers, %v", len(cmds), err)
		}
		if n := server.Client().LLen(t.Context(), "list").Val(); n != 500 {
			t.Errorf("the list holds %d values, want 500", n)
		}
	})
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	one, other := embedredis.Start(), embedredis.Start()
	defer one.Close()
	defer other.Close()
	if err := one.Client().Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n := other.Client().Exists(t.Context(), "key").Val(); n != 0 {
		t.Error("one server's key is in another")
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	server := embedredis.Start()
	client := server.Client()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if client.Ping(t.Context()).Err() == nil {
		t.Error("a closed server answers")
	}
}
