package testenv

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Server is a private Redis or Postgres process of one test. Its methods are
// for the test's own goroutine, because they fail the test when something goes
// wrong. It ends with the test, however the test ends.
type Server struct {
	tb   testing.TB
	kind kind
	port int

	command *exec.Cmd     // the running or last process
	output  *bytes.Buffer // what it printed; read only after ended
	ended   chan struct{} // closed when the process is gone
}

// kind is what differs between Redis and Postgres.
type kind struct {
	name    string
	command func(port int) *exec.Cmd
	url     func(port int) string
	ready   func(ctx context.Context, url string) error
	stop    syscall.Signal // ends it in order
	kill    syscall.Signal // ends it as a crash does
}

// startServer starts a server on a free port of the loopback interface.
func startServer(tb testing.TB, k kind) *Server {
	tb.Helper()
	s := &Server{tb: tb, kind: k}
	tb.Cleanup(func() { s.end(s.kind.kill) })
	var err error
	for range 3 { // another program may take the port before the server does
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.start(); err == nil {
			return s
		}
	}
	tb.Fatalf("start a private %s: %v", k.name, err)
	return nil
}

// URL returns where the server listens. It stays the same over restarts.
func (s *Server) URL() string { return s.kind.url(s.port) }

// Stop ends the server in order and returns when its process is gone. Stopping
// a stopped server does nothing.
func (s *Server) Stop() {
	s.tb.Helper()
	if !s.end(s.kind.stop) {
		s.tb.Fatalf("%s did not stop within %s", s.kind.name, patience)
	}
}

// Kill ends the server as a crash would and returns when its process is gone.
// Killing a stopped server does nothing.
func (s *Server) Kill() {
	s.tb.Helper()
	if !s.end(s.kind.kill) {
		s.tb.Fatalf("%s did not die within %s", s.kind.name, patience)
	}
}

// Restart starts the server again, on the same port and with the data it left
// on disk, and returns when it answers. A server that runs is stopped first.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	if err := s.start(); err != nil {
		s.tb.Fatalf("start %s again: %v", s.kind.name, err)
	}
}

// start starts a process and waits until it answers.
func (s *Server) start() error {
	s.command = s.kind.command(s.port)
	s.output = new(bytes.Buffer)
	s.command.Stdout = s.output
	s.command.Stderr = s.output
	s.ended = make(chan struct{})
	if err := s.command.Start(); err != nil {
		close(s.ended)
		return err
	}
	go func(command *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		_ = command.Wait()
	}(s.command, s.ended)
	return s.waitReady()
}

// waitReady waits until the server answers, or returns an error with the end of
// what it printed.
func (s *Server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.kind.ready(ctx, s.URL())
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("it ended at once and said:\n%s", s.output)
		case <-ctx.Done():
			s.end(syscall.SIGKILL)
			return fmt.Errorf("it did not answer within %s (%w) and said:\n%s", patience, err, s.output)
		case <-tick.C:
		}
	}
}

// end sends signal to a running process and waits. It reports whether the
// process is gone; when that takes too long it is killed and reported false.
func (s *Server) end(signal syscall.Signal) bool {
	if s.ended == nil {
		return true
	}
	select {
	case <-s.ended:
		return true
	default:
	}
	_ = s.command.Process.Signal(signal)
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-s.ended:
		return true
	case <-timeout.C:
		_ = s.command.Process.Kill()
		<-s.ended
		return false
	}
}

// freePort returns a loopback port that was free a moment ago.
func freePort() (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// program returns the path of a server's program, or fails tbb with what to do.
// Debian keeps Postgres out of PATH, one directory a version: the newest wins.
func program(tb testing.TB, name, debianPackage string) string {
	tb.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(paths) > 0 {
		return slices.MaxFunc(paths, func(a, b string) int { return postgresVersion(a) - postgresVersion(b) })
	}
	tb.Fatalf("no %s on this machine: install it (on Debian, as root: `scripts/install.sh %s`)", name, debianPackage)
	return ""
}

// postgresVersion reads 15 out of /usr/lib/postgresql/15/bin/postgres; zero if
// there is no number.
func postgresVersion(path string) int {
	version, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return version
}

// dataDir makes a folder that goes when tb ends. Unlike t.TempDir it can be
// entered by another user, which Postgres needs when the test is root.
func dataDir(tb testing.TB, pattern string) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", pattern) //nolint:usetesting // another user cannot enter t.TempDir
	if err != nil {
		tb.Fatalf("make a folder for the server: %v", err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("remove the server's folder: %v", err)
		}
	})
	return dir
}
