package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/openai"
)

// startSimulator runs the command until the test ends and returns its base
// URL. Stopping it must end with exit code 0.
func startSimulator(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // t.Context would end before Cleanup
	out, in := io.Pipe()
	exited := make(chan int, 1)
	go func() {
		exited <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), in, io.Discard)
		_ = in.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-exited; code != exitClean {
			t.Errorf("exit code %d, want 0", code)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	url, found := strings.CutPrefix(strings.TrimSpace(line), "simulator: listening on ")
	if err != nil || !found {
		t.Fatalf("got %q, error %v", line, err)
	}
	return url
}

func TestServesUntilStopped(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "faults.json")
	const faults = `{"latency":0,"per_token":0,"output_tokens":{"min":3,"max":3}}`
	if err := os.WriteFile(file, []byte(faults), 0o600); err != nil {
		t.Fatal(err)
	}
	url := startSimulator(t, "-seed", "3", "-config", file)
	provider, err := openai.New(openai.Config{BaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = provider.Close() }()
	got, err := provider.Call(t.Context(), providers.Request{
		Endpoint: providers.ChatCompletions, Model: "m",
		Body: json.RawMessage(`{"messages":[{"role":"user","content":"x"}]}`),
	}, nil)
	if err != nil || got.Usage.OutputTokens != 3 {
		t.Errorf("got %+v, error %v", got, err)
	}
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(url, "/v1")+"/calls", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if calls, _ := io.ReadAll(answer.Body); strings.Count(string(calls), "\n") != 1 {
		t.Errorf("got %s, want one call", calls)
	}
}

func TestWrongConfigurationExits2(t *testing.T) {
	t.Parallel()
	wrong := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(wrong, []byte(`{"latnecy":"1s"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-config", wrong}, "latnecy"},
		{[]string{"-config", wrong + ".not"}, "-config"},
		{[]string{"-seed", "x"}, "seed"},
		{[]string{"-port", "1"}, "-port"},
		{[]string{"serve"}, `unexpected argument "serve"`},
	} {
		var stderr strings.Builder
		code := run(t.Context(), c.args, io.Discard, &stderr)
		if code != exitConfiguration || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%v: exit code %d, said %q; want 2 and %q", c.args, code, stderr.String(), c.want)
		}
	}
}

func TestAddressInUseExits1(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	var stderr strings.Builder
	if code := run(t.Context(), []string{"-addr", taken.Addr().String()}, io.Discard, &stderr); code != exitRuntime {
		t.Errorf("exit code %d, said %q", code, stderr.String())
	}
}
