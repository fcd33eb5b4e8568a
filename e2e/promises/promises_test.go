// Package promises holds one script for each promise of the README and of
// docs/OPERATING.md, run against the built programs: testdata/*.txtar.
//
// Beside the commands of testscript a script has these:
//
//	up [flags]            starts api, as the environment says, at $URL, and waits until it is ready
//	down                  stops it with SIGTERM, which must end it in good order
//	leave                 sends SIGTERM twice, which must end it at once with code 1
//	crash                 kills it
//	http METHOD PATH [BODY] [HEADER: VALUE]...
//	                      asks; a BODY @file is the file's text; waits if asked for with Prefer or ?wait=
//	status N              the last answer's status
//	header NAME REGEXP    one of the last answer's headers
//	json PATH REGEXP      a value in the last answer's body, by dots; with ! it is absent or null
//	keep NAME PATH        keeps that value as an environment variable
//	exits N PROGRAM [FLAG]...
//	                      runs a program that ends by itself with this code
//	receiver STATUS       has a receiver of webhooks, at $RECEIVER, answer so from now on
//	arrives TYPE [KEY]... waits for the next webhook, which must be of this type and signed with each of the keys;
//	                      header and json look at it
//	becomes PATH NAME REGEXP
//	                      asks for a path until a value of its answer is so
package promises

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/penstock-dev/penstock/internal/testenv"
)

// patience bounds every wait.
const patience = 30 * time.Second

func TestPromises(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-w", "-o", bin+"/", "../../cmd/api", "../../cmd/worker")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setup(t, env, bin) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"up": up, "down": down, "leave": leave, "crash": crash, "http": ask, "status": status, "header": header, "json": value,
			"keep": keep, "exits": exits, "receiver": answers, "arrives": arrives, "becomes": becomes,
		},
	})
}

func setup(t *testing.T, env *testscript.Env, bin string) error {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	s := &script{receiver: receive()}
	env.Values[scriptKey{}] = s
	env.Defer(s.receiver.server.Close)
	env.Defer(s.kill)
	for name, value := range map[string]string{
		"PATH": bin + ":" + env.Getenv("PATH"), "URL": "http://" + addr, "ADDR": addr, "PENSTOCK_ADDR": addr,
		"PENSTOCK_DATA_DIR": filepath.Join(env.WorkDir, "data"), "POSTGRES": testenv.Postgres(t), "REDIS": testenv.Redis(t),
		"RECEIVER": s.receiver.server.URL,
	} {
		env.Setenv(name, value)
	}
	return nil
}

type scriptKey struct{}

// script is what the commands of one script share.
type script struct {
	// api is the process that up started; nil before and after.
	api      *exec.Cmd
	said     *said
	last     answer
	receiver *receiver
}

type answer struct {
	status int
	header http.Header
	body   string
}

// said is what a process wrote.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func of(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) } //nolint:forcetypeassert // setup put it there

func (s *script) kill() {
	if s.api != nil {
		_ = s.api.Process.Kill()
		_ = s.api.Wait()
		s.api = nil
	}
}

func up(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	s.said = &said{}
	s.api = command(ts, "api", args)
	s.api.Stderr = s.said
	ts.Check(s.api.Start())
	for until := time.Now().Add(patience); time.Now().Before(until); <-time.After(20 * time.Millisecond) {
		resp, err := http.Get(ts.Getenv("URL") + "/readyz") //nolint:noctx // the loop is bounded
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("api is not ready after %v:\n%s", patience, s.said)
}

// command is a program of ours in the script's environment.
func command(ts *testscript.TestScript, program string, args []string) *exec.Cmd {
	path := filepath.Join(strings.SplitN(ts.Getenv("PATH"), ":", 2)[0], program)
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"RECEIVER=" + ts.Getenv("RECEIVER")}
	for _, name := range []string{"ADDR", "CONFIG", "DATABASE_URL", "DATA_DIR", "LOG", "PUBLIC_URL", "REDIS_URL", "SECRET_KEY", "WORKER_ADDR"} {
		if v := ts.Getenv("PENSTOCK_" + name); v != "" {
			cmd.Env = append(cmd.Env, "PENSTOCK_"+name+"="+v)
		}
	}
	return cmd
}

func down(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	ts.Check(s.api.Process.Signal(syscall.SIGTERM))
	if err := s.api.Wait(); err != nil {
		ts.Fatalf("api: %v\n%s", err, s.said)
	}
	s.api = nil
}

func leave(ts *testscript.TestScript, _ bool, _ []string) {
	s := of(ts)
	ts.Check(s.api.Process.Signal(syscall.SIGTERM))
	for until := time.Now().Add(patience); !strings.Contains(s.said.String(), "a second signal"); <-time.After(time.Millisecond) {
		if time.Now().After(until) {
			ts.Fatalf("api does not say that it stops:\n%s", s.said)
		}
	}
	ts.Check(s.api.Process.Signal(syscall.SIGTERM))
	err := s.api.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		ts.Fatalf("api: %v, want exit code 1\n%s", err, s.said)
	}
	s.api = nil
}

func crash(ts *testscript.TestScript, _ bool, _ []string) { of(ts).kill() }

func ask(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("http METHOD PATH [BODY] [HEADER: VALUE]...")
	}
	method, path, rest := args[0], args[1], args[2:]
	body := ""
	if len(rest) > 0 && (rest[0] == "" || strings.ContainsRune("{@", rune(rest[0][0]))) {
		body, rest = rest[0], rest[1:]
	}
	if file, ok := strings.CutPrefix(body, "@"); ok {
		body = ts.ReadFile(file)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, ts.Getenv("URL")+path, strings.NewReader(body))
	ts.Check(err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range rest {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	ts.Check(err)
	of(ts).last = answer{resp.StatusCode, resp.Header, string(got)}
	fmt.Fprintf(ts.Stdout(), "%s\n%s", resp.Status, got)
}

func status(ts *testscript.TestScript, _ bool, args []string) {
	a := of(ts).last
	if strconv.Itoa(a.status) != args[0] {
		ts.Fatalf("status %d, want %s:\n%s", a.status, args[0], a.body)
	}
}

func header(ts *testscript.TestScript, neg bool, args []string) {
	match(ts, neg, args[0], of(ts).last.header.Get(args[0]), args[1])
}

func value(ts *testscript.TestScript, neg bool, args []string) {
	got := lookUp(ts, args[0])
	if neg && len(args) == 1 {
		if got != "" {
			ts.Fatalf("%s is %s, want nothing", args[0], got)
		}
		return
	}
	match(ts, neg, args[0], got, args[1])
}

func match(ts *testscript.TestScript, neg bool, what, got, want string) {
	re, err := regexp.Compile("^(?:" + want + ")$")
	ts.Check(err)
	if re.MatchString(got) == neg {
		ts.Fatalf("%s is %q, want %q (not: %t)\n%s", what, got, want, neg, of(ts).last.body)
	}
}

func keep(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], lookUp(ts, args[1]))
}

// lookUp finds a value in the last answer's body: names and indices, by dots.
// What is not there, and null, is empty.
func lookUp(ts *testscript.TestScript, path string) string {
	a := of(ts).last
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.UseNumber()
	var at any
	if err := decoder.Decode(&at); err != nil {
		ts.Fatalf("the answer is not JSON: %v\n%s", err, a.body)
	}
	for name := range strings.SplitSeq(path, ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v) {
				return ""
			}
			at = v[i]
		default:
			return ""
		}
	}
	switch v := at.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	cmd := command(ts, args[1], args[2:])
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		ts.Logf("killed: %v", <-ended)
		ts.Fatalf("%s did not end within %v", args[1], patience)
	}
	if code := strconv.Itoa(cmd.ProcessState.ExitCode()); code != args[0] {
		ts.Fatalf("%s: exit code %s, want %s", args[1], code, args[0])
	}
}
