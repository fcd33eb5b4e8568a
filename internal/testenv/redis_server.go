package testenv

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// RedisServer starts a Redis process for tb alone, for tests that stop, kill or
// flush it. It keeps nothing on disk: killed and started again it is empty.
// Extra arguments are redis-server's own, such as "--appendonly", "yes".
func RedisServer(tb testing.TB, arguments ...string) *Server {
	tb.Helper()
	path := program(tb, "redis-server", "redis-server")
	dir := dataDir(tb, "penstock-redis-")
	return startServer(tb, kind{
		name: "redis-server",
		command: func(port int) *exec.Cmd {
			base := []string{
				"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
				"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction",
			}
			command := exec.CommandContext(context.Background(), path, append(base, arguments...)...)
			command.SysProcAttr = childAttributes()
			return command
		},
		url:   func(port int) string { return fmt.Sprintf("redis://127.0.0.1:%d/0", port) },
		ready: pingRedis,
		stop:  syscall.SIGTERM,
		kill:  syscall.SIGKILL,
	})
}

// pingRedis returns nil once the server answers.
func pingRedis(ctx context.Context, serverURL string) error {
	options, err := redis.ParseURL(serverURL)
	if err != nil {
		return err
	}
	options.MaxRetries = -1 // none: the caller asks again
	client := redis.NewClient(options)
	defer client.Close()
	return client.Ping(ctx).Err()
}
