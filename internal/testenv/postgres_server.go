package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"testing"
)

// PostgresServer starts a Postgres process for tb alone, for tests that stop or
// kill it. Its URL names an empty database. What was committed is there again
// after Kill and Restart.
//
// fsync is off: the machine does not crash, only the server does.
func PostgresServer(tb testing.TB) *Server {
	tb.Helper()
	postgres := program(tb, "postgres", "postgresql")
	initdb := program(tb, "initdb", "postgresql")
	attributes, err := unprivileged()
	if err != nil {
		tb.Fatalf("Postgres refuses to run as root: %v", err)
	}
	dir := dataDir(tb, "penstock-postgres-")
	if err := createCluster(tb.Context(), initdb, dir, attributes); err != nil {
		tb.Fatalf("create a Postgres cluster: %v", err)
	}
	return startServer(tb, kind{
		name: "postgres",
		command: func(port int) *exec.Cmd {
			command := exec.CommandContext(context.Background(), postgres, "-D", dir, "-p", strconv.Itoa(port), "-k", "",
				"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "fsync=off")
			command.Dir = dir
			command.SysProcAttr = attributes
			return command
		},
		url: func(port int) string {
			return fmt.Sprintf("postgres://penstock@127.0.0.1:%d/postgres?sslmode=disable", port)
		},
		ready: func(ctx context.Context, url string) error { return execute(ctx, url, "SELECT 1") },
		stop:  syscall.SIGINT,  // "fast shutdown": ends sessions, then the server
		kill:  syscall.SIGQUIT, // "immediate shutdown": no checkpoint, recovery at the next start
	})
}

// createCluster makes an empty cluster in dir, owned by the user that will run
// the server.
func createCluster(ctx context.Context, initdb, dir string, attributes *syscall.SysProcAttr) error {
	if owner := attributes.Credential; owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	command := exec.CommandContext(ctx, initdb, "-D", dir, "-U", "penstock", "-A", "trust",
		"-E", "UTF8", "--no-locale", "--no-sync")
	command.Dir = dir
	command.SysProcAttr = attributes
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb said:\n%s: %w", output, err)
	}
	return nil
}

// unprivileged returns attributes of a child that is not root: the same user,
// or when that is root, the user postgres or nobody.
func unprivileged() (*syscall.SysProcAttr, error) {
	attributes := childAttributes()
	if os.Getuid() != 0 {
		return attributes, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, fmt.Errorf("read the ids of user %s: %w", name, err)
		}
		attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return attributes, nil
	}
	return nil, errors.New("there is neither a user postgres nor a user nobody to run it as")
}
