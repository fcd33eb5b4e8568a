package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a receiver. It is long because the machine may be busy
// with many tests.
const patience = time.Minute

// asReceiver makes the test's own program the receiver.
const asReceiver = "PENSTOCK_TEST_AS_RECEIVER"

func TestMain(m *testing.M) {
	if os.Getenv(asReceiver) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// language is a receiver written in one.
type language struct {
	name    string
	program string
	args    []string
	// ed25519 says that it verifies v1a.
	ed25519 bool
}

func languages(t *testing.T) []language {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []language{
		{name: "go", program: self, ed25519: true},
		{name: "node", program: find(t, "node"), args: []string{"node/receiver.mjs"}, ed25519: true},
		{name: "python", program: find(t, "python3"), args: []string{"python/receiver.py"}},
	}
}

// find returns the path of a program, or fails the test with what to do.
func find(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("no %s on this machine: run `make test`, or `scripts/with-languages.sh go test ./…`, which install it", program)
	}
	return path
}

// command returns the receiver with those secrets, on a free port.
func (l language) command(ctx context.Context, secrets string, flags ...string) *exec.Cmd {
	args := slices.Concat(l.args, []string{"--addr", "127.0.0.1:0"}, flags)
	cmd := exec.CommandContext(ctx, l.program, args...)
	cmd.Env = append(os.Environ(), asReceiver+"=1", "PENSTOCK_WEBHOOK_SECRET="+secrets)
	dieWithParent(cmd)
	return cmd
}

// process is a running receiver.
type process struct {
	cmd    *exec.Cmd
	url    string
	lines  []string // what it printed; read it after ended
	stderr *bytes.Buffer
	ended  chan struct{}
}

// start starts a receiver and waits until it listens.
func (l language) start(t *testing.T, secrets string, flags ...string) *process {
	t.Helper()
	p := &process{cmd: l.command(context.Background(), secrets, flags...), stderr: &bytes.Buffer{}, ended: make(chan struct{})}
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start the receiver: %v", err)
	}
	first := make(chan string, 1)
	go p.read(stdout, first)
	t.Cleanup(func() { p.stop(t) })
	select {
	case line := <-first:
		url, found := strings.CutPrefix(line, "listening on ")
		if !found {
			t.Fatalf("the receiver printed %q; want where it listens", line)
		}
		p.url = url
	case <-time.After(patience):
		t.Fatalf("the receiver does not listen after %v", patience)
	}
	return p
}

// read hands over the first line and keeps the others until the process has ended.
func (p *process) read(stdout io.Reader, first chan<- string) {
	defer close(p.ended)
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	first <- lines.Text()
	for lines.Scan() {
		p.lines = append(p.lines, lines.Text())
	}
	_ = p.cmd.Wait()
}

// stop ends the receiver and returns what it printed.
func (p *process) stop(t *testing.T) []string {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
		t.Errorf("the receiver did not end within %v of SIGTERM", patience)
	}
	if p.stderr.Len() > 0 {
		t.Errorf("the receiver complained: %s", p.stderr)
	}
	return p.lines
}
