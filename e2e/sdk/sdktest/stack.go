// Package sdktest has the official SDKs, unmodified, talk to a whole Penstock over TCP.
package sdktest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/internal/app"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// Stack is an embedded Penstock in this process, in front of a simulated provider.
type Stack struct {
	// URL is where it listens, such as http://127.0.0.1:41234.
	URL string
	// Provider is the simulated one, of which each wire format is a provider: openai,
	// claude and gemini. It has one model, sim-1; the model default is openai's.
	Provider *simulated.Server
}

// Start starts a stack until the test has ended. providers and routes are lines of the
// configuration file beside those that it has.
func Start(t testing.TB, providers, routes string) *Stack {
	t.Helper()
	provider, err := simulated.New(simulated.Config{Faults: &simulated.Faults{
		OutputTokens: simulated.Range{Min: 5, Max: 20},
	}})
	if err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewServer(provider)
	t.Cleanup(func() {
		_ = provider.Close()
		upstream.Close()
	})
	dir := t.TempDir()
	config := filepath.Join(dir, "penstock.yaml")
	text := fmt.Sprintf(`
providers:
  openai: {type: openai, base_url: %[1]s/v1, models: [sim-1], endpoints: [chat/completions, embeddings, responses]}
  claude: {type: anthropic, base_url: %[1]s/v1}
  gemini: {type: gemini, base_url: %[1]s/v1beta}
%[2]s
routes:
  default: {targets: [openai/sim-1], max_attempts: 1}
%[3]s
`, upstream.URL, providers, routes)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Stack{Provider: provider, URL: "http://" + run(t, map[string]string{
		"PENSTOCK_ADDR": "127.0.0.1:0", "PENSTOCK_DATA_DIR": dir, "PENSTOCK_CONFIG": config,
	})}
}

// run runs Penstock until the test has ended, and returns where it listens.
func run(t testing.TB, env map[string]string) (addr string) {
	t.Helper()
	var log output
	a, err := app.Start(context.WithoutCancel(t.Context()), app.RoleEmbedded, func(name string) string { return env[name] }, &log)
	if err != nil {
		t.Fatalf("start with %v: %v", slices.Sorted(maps.Keys(env)), err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			t.Logf("the log of Penstock:\n%s", log.end())
		}
	})
	return a.Addr()
}

// output keeps what is logged.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

// end is the end of it.
func (o *output) end() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	const most = 8 << 10
	return string(o.all.Bytes()[max(0, o.all.Len()-most):])
}

// Calls is how many calls the provider has had.
func (s *Stack) Calls() int { return len(s.Provider.Calls()) }

// Node runs a program in JavaScript that tests with node:test, with the variables in its
// environment. It fails the test if one of the program's does.
func Node(t *testing.T, program string, env map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", program)
	cmd.Env = os.Environ()
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		_, file, _, _ := runtime.Caller(0)
		t.Fatalf("node --test %s: %v\n%s\nIf Node or the packages in %s are missing, `scripts/with-languages.sh` installs them.",
			program, err, out, filepath.Dir(filepath.Dir(file)))
	}
}
