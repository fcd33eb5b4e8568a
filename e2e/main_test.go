// Package e2e runs the built programs as an operator would, on real Postgres
// and Redis, and kills them.
package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// bin holds the built programs.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for other processes most of the time.
	if p := flag.Lookup("test.parallel"); p.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = p.Value.Set("4")
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "penstock-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.CommandContext(context.Background(), "go", "build", "-ldflags=-w", "-o", dir+"/", "../cmd/api", "../cmd/worker", "../cmd/simulator")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// output keeps what a process wrote; it is read while the process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a running program.
type process struct {
	cmd    *exec.Cmd
	log    *output
	exited chan struct{}
}

// start runs a built program, or the one at an absolute path, until the test ends
// at the latest.
func start(t *testing.T, env []string, program string, args ...string) *process {
	t.Helper()
	path := program
	if !filepath.IsAbs(program) {
		path = filepath.Join(bin, program)
	}
	program = filepath.Base(program)
	p := &process{
		cmd: exec.CommandContext(context.Background(), path, args...),
		log: &output{}, exited: make(chan struct{}),
	}
	p.cmd.Env, p.cmd.Stderr, p.cmd.Stdout = append(os.Environ(), env...), p.log, p.log
	dieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			p.tell(t, program)
		}
	})
	return p
}

// tell logs the end of what a process wrote, without its lines on requests, and
// keeps all of it with -artifacts.
func (p *process) tell(t *testing.T, program string) {
	t.Helper()
	const most = 4000
	name := fmt.Sprintf("%s-%d.log", program, p.cmd.Process.Pid)
	write(t, filepath.Join(t.ArtifactDir(), name), p.log.String())
	var b strings.Builder
	for line := range strings.Lines(p.log.String()) {
		if !strings.Contains(line, `"message":"request"`) && !strings.Contains(line, `"message":"call"`) {
			b.WriteString(line)
		}
	}
	s := b.String()
	t.Logf("the end of %s:\n%s", name, s[max(0, len(s)-most):])
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// terminate asks for a stop in good order and returns the exit code.
func (p *process) terminate(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		t.Errorf("did not stop within 30 s of SIGTERM")
	}
	return p.cmd.ProcessState.ExitCode()
}

// exitCode waits for a program that ends by itself.
func (p *process) exitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		t.Fatal("did not exit within 30 s")
		return -1
	}
}

// freeAddr returns a loopback address that nobody listens on. Its port is none
// that the system gives to outgoing connections, nor was given out before.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+(os.Getpid()+int(ports.Add(1)))%12_000)
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
		if err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// ports counts the ports that were tried.
var ports atomic.Int32

// eventually polls until ok, at most for the given time.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, within)
		}
	}
}

// ready waits until a process answers /readyz.
func ready(t *testing.T, addr string) {
	t.Helper()
	eventually(t, 30*time.Second, addr+" ready", func() bool {
		resp, err := http.Get("http://" + addr + "/readyz") //nolint:noctx // the poll is bounded
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}
