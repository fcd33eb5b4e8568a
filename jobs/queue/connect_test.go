package queue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs/queue"
)

func TestConnectServer(t *testing.T) {
	t.Parallel()
	client, ok := connect(t, "rediss://user:secret@redis.test:7000/3?pool_size=7&read_timeout=5s").(*redis.Client)
	if !ok {
		t.Fatal("not a client of one server")
	}
	o := client.Options()
	if o.Addr != "redis.test:7000" || o.DB != 3 || o.Username != "user" || o.Password != "secret" || o.TLSConfig == nil {
		t.Errorf("connects to %s, database %d, as %s, TLS %v", o.Addr, o.DB, o.Username, o.TLSConfig != nil)
	}
	if o.PoolSize != 7 || o.ReadTimeout != 5*time.Second || o.WriteTimeout != 2*time.Second || o.DialTimeout != time.Second {
		t.Errorf("pool size %d, timeouts %v, %v, %v", o.PoolSize, o.ReadTimeout, o.WriteTimeout, o.DialTimeout)
	}
	if !o.ContextTimeoutEnabled || o.DialerRetries != 1 {
		t.Errorf("respects deadlines of contexts: %v, dials %d times; want so, and once", o.ContextTimeoutEnabled, o.DialerRetries)
	}
}

func TestConnectCluster(t *testing.T) {
	t.Parallel()
	client, ok := connect(t, "redis://a.test:6379?addr=b.test:6379&addr=c.test:6379").(*redis.ClusterClient)
	if !ok {
		t.Fatal("not a client of a cluster")
	}
	if got := client.Options().Addrs; len(got) != 3 || !client.Options().ContextTimeoutEnabled {
		t.Errorf("knows the nodes %q, deadlines %v", got, client.Options().ContextTimeoutEnabled)
	}
}

func TestConnectSentinel(t *testing.T) {
	t.Parallel()
	client, ok := connect(t, "redis-sentinel://s1.test:26379/2?master_name=main&addr=s2.test:26379&password=secret").(*redis.Client)
	if !ok {
		t.Fatal("not a client of one server")
	}
	if o := client.Options(); o.Addr != "FailoverClient" || o.DB != 2 || o.Password != "secret" || !o.ContextTimeoutEnabled {
		t.Errorf("connects to %s, database %d, deadlines %v", o.Addr, o.DB, o.ContextTimeoutEnabled)
	}
}

func TestConnectRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, want string }{
		{"", "redis://"},
		{"127.0.0.1:6379", "URL"},
		{"http://127.0.0.1:6379", "redis://"},
		{"redis:///0", "host"},
		{"redis://host/secret", "database number"},
		{"redis://:secret@host/0?pool=3", "pool"},
		{"redis://:secret@ho st/0", "URL"},
		{"redis-sentinel://:secret@host:26379/0", "master_name"},
		{"redis://:secret@host?addr=nonsense", "addr"},
		{"redis://host?addr=:secret@host2:6379", "addr"},
		{"redis-sentinel://host?master_name=m&addr=:secret@host2:6379", "addr"},
	} {
		_, err := queue.Connect(test.url)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Connect(%q) = %v, want an error that says %q", test.url, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), ":secret@") {
			t.Errorf("Connect(%q) = %v, which shows the password", test.url, err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	client := connect(t, server.URL())
	if warning, err := queue.Check(t.Context(), client); warning != "" || err != nil {
		t.Errorf("Check() = %q, %v of a server that is as it should be", warning, err)
	}
	if err := client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	warning, err := queue.Check(t.Context(), client)
	if !strings.Contains(warning, "allkeys-lru") || !strings.Contains(warning, "noeviction") || err != nil {
		t.Errorf("Check() = %q, %v of a server that evicts", warning, err)
	}
	server.Stop()
	if _, err := queue.Check(t.Context(), client); err == nil {
		t.Error("Check() succeeded without a server")
	}
}
