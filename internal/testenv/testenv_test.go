package testenv

import (
	"context"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

func TestPostgresGivesEachTestItsOwnDatabase(t *testing.T) {
	t.Parallel()
	first, second := Postgres(t), Postgres(t)
	if first == second {
		t.Fatalf("two databases have one URL: %s", first)
	}
	mustExecute(t, first, "CREATE TABLE probe (n int)")
	mustExecute(t, second, "CREATE TABLE probe (n int)")
}

func TestPostgresDropsTheDatabaseWithConnectionsOpen(t *testing.T) {
	var own string
	t.Run("user", func(t *testing.T) {
		own = Postgres(t)
		conn, err := pgx.Connect(t.Context(), own)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn // left open on purpose
	})
	err := execute(t.Context(), own, "SELECT 1")
	if err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("connect to a dropped database: got %v, want that it does not exist", err)
	}
}

func TestATemplateIsMadeOnceAndCopied(t *testing.T) {
	t.Parallel()
	made := 0
	template := NewTemplate(func(ctx context.Context, url string) error {
		made++
		return execute(ctx, url, "CREATE TABLE probe (n int)")
	})
	if err := template.Drop(); err != nil {
		t.Fatalf("drop what was not made: %v", err)
	}
	first, second := template.Postgres(t), template.Postgres(t)
	mustExecute(t, first, "DROP TABLE probe")
	mustExecute(t, second, "INSERT INTO probe VALUES (1)")
	mustExecute(t, template.Postgres(t), "DO $$ BEGIN ASSERT (SELECT count(*) = 0 FROM probe); END $$")
	if made != 1 {
		t.Errorf("it was made %d times", made)
	}
	if err := template.Drop(); err != nil {
		t.Errorf("drop it: %v", err)
	}
	if err := execute(t.Context(), databaseURL(template.server, template.name), "SELECT 1"); err == nil {
		t.Error("it is there after that")
	}
}

func TestRedisGivesEachTestAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	first, second := Redis(t), Redis(t)
	if first == second {
		t.Fatalf("two leases of one database: %s", first)
	}
	a, b := redisClient(t, first), redisClient(t, second)
	if err := a.Set(t.Context(), "probe", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n := b.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("a key of one test is seen by another: got %d keys, want 0", n)
	}
}

// A server of its own, so that the databases are known.
func TestRedisLeases(t *testing.T) {
	t.Parallel()
	server := RedisServer(t, "--databases", "3")
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	registry := redisClient(t, server.URL())
	take := func() (int, error) { return takeFree(t.Context(), registry, options, 3) }

	foreign := openDatabase(options, 1)
	defer foreign.Close()
	if err := foreign.Set(t.Context(), "someone's", "data", 0).Err(); err != nil {
		t.Fatal(err)
	}
	number, err := take()
	if err != nil || number != 2 {
		t.Fatalf("with foreign data in database 1: got database %d, error %v; want 2", number, err)
	}
	if _, err := take(); err == nil {
		t.Error("a database was leased twice, or foreign data was taken")
	}
	if n := foreign.DBSize(t.Context()).Val(); n != 1 {
		t.Errorf("foreign keys left: got %d, want 1", n)
	}

	leavings := openDatabase(options, 2)
	defer leavings.Close()
	if err := leavings.Set(t.Context(), "a killed test's", "data", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := registry.Del(t.Context(), leaseKey(2)).Err(); err != nil { // as when the lease expires
		t.Fatal(err)
	}
	if number, err := take(); err != nil || number != 2 {
		t.Fatalf("after a killed test: got database %d, error %v; want 2", number, err)
	}
	if n := leavings.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("keys of a killed test left: got %d, want 0", n)
	}
	if err := returnDatabase(t.Context(), registry, options, 2); err != nil {
		t.Fatal(err)
	}
	if number, err := take(); err != nil || number != 2 {
		t.Errorf("after a return: got database %d, error %v; want 2", number, err)
	}
}

func TestRedisServerIsEmptyAfterKill(t *testing.T) {
	t.Parallel()
	server := RedisServer(t)
	client := redisClient(t, server.URL())
	if err := client.Set(t.Context(), "probe", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("a killed server still answers")
	}
	server.Kill() // does nothing
	server.Restart()
	if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("after kill and restart: got %d keys, error %v; want 0 and none", n, err)
	}
}

func TestRedisServerKeepsWhatItsArgumentsSay(t *testing.T) {
	t.Parallel()
	server := RedisServer(t, "--appendonly", "yes", "--appendfsync", "always")
	client := redisClient(t, server.URL())
	if err := client.Set(t.Context(), "probe", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	server.Restart()
	if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 1 {
		t.Errorf("after kill and restart: got %d keys, error %v; want 1 and none", n, err)
	}
}

func TestPostgresServerKeepsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	server := PostgresServer(t)
	mustExecute(t, server.URL(), "CREATE TABLE probe AS SELECT 1 AS n")
	for name, end := range map[string]func(){"Kill": server.Kill, "Stop": server.Stop} {
		end()
		if err := execute(t.Context(), server.URL(), "SELECT 1"); err == nil {
			t.Errorf("after %s the server still answers", name)
		}
		server.Restart()
		mustExecute(t, server.URL(), "SELECT n FROM probe")
	}
}

func TestServersLeaveNothing(t *testing.T) {
	var urls []string
	t.Run("user", func(t *testing.T) {
		urls = append(urls, RedisServer(t).URL())
	})
	for _, serverURL := range urls {
		if err := pingRedis(t.Context(), serverURL); err == nil {
			t.Errorf("%s still answers after its test", serverURL)
		}
	}
}

func TestMissingVariableSaysWhatToDo(t *testing.T) {
	t.Setenv(postgresVariable, "")
	t.Setenv(redisVariable, "")
	for variable, ask := range map[string]func(testing.TB) string{postgresVariable: Postgres, redisVariable: Redis} {
		got := fatalMessage(t, func(tb testing.TB) {
			tb.Helper()
			ask(tb)
		})
		if !strings.Contains(got, variable) || !strings.Contains(got, "make test") {
			t.Errorf("got %q, want it to name %s and `make test`", got, variable)
		}
	}
}

func TestMissingProgramSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", "")
	got := fatalMessage(t, func(tb testing.TB) {
		tb.Helper()
		program(tb, "redis-server", "redis-server")
	})
	if !strings.Contains(got, "scripts/install.sh redis-server") {
		t.Errorf("got %q, want it to name scripts/install.sh redis-server", got)
	}
}

func TestPostgresVersionsAreNumbers(t *testing.T) {
	t.Parallel()
	older, newer := "/usr/lib/postgresql/9/bin/postgres", "/usr/lib/postgresql/15/bin/postgres"
	if postgresVersion(older) >= postgresVersion(newer) {
		t.Errorf("version of %s is not below that of %s", older, newer)
	}
}

func TestPasswordsStayOutOfMessages(t *testing.T) {
	t.Setenv(postgresVariable, (&url.URL{
		Scheme: "postgres", User: url.UserPassword("u", "hunter2"), Host: "127.0.0.1:1", Path: "/x",
	}).String())
	got := fatalMessage(t, func(tb testing.TB) {
		tb.Helper()
		Postgres(tb)
	})
	if got == "" || strings.Contains(got, "hunter2") {
		t.Errorf("got %q, want a message without the password", got)
	}
}

// recorder is a testing.TB whose Fatalf is kept instead of failing the test.
type recorder struct {
	testing.TB
	message string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, arguments ...any) {
	r.message = fmt.Sprintf(format, arguments...)
	runtime.Goexit()
}

// fatalMessage returns what f failed its test with.
func fatalMessage(t *testing.T, f func(testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r.message
}

func mustExecute(t *testing.T, serverURL, statement string) {
	t.Helper()
	if err := execute(t.Context(), serverURL, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func redisClient(t *testing.T, serverURL string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}
