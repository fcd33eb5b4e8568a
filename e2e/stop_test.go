package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/internal/testenv"
)

// A worker that is told to stop lets its calls end: none is made twice.
func TestStopRepeatsNoCall(t *testing.T) {
	t.Parallel()
	f := startFleet(t, usual)
	ids := f.submitAll(100)
	eventually(t, 20*time.Second, "calls under way", func() bool { return len(f.calls()) > 20 })
	if code := f.workers[0].terminate(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	f.allSucceeded(ids)
	if n := len(f.calls()); n != len(ids) {
		t.Errorf("%d calls for %d jobs", n, len(ids))
	}
	if code := f.apis[0].terminate(t); code != 0 {
		t.Errorf("api: exit code %d, want 0", code)
	}
}

func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	env := []string{"PENSTOCK_DATABASE_URL=" + testenv.Postgres(t)}
	for range 2 {
		if p := start(t, env, "api", "-migrate"); p.exitCode(t) != 0 {
			t.Errorf("exit code %d, want 0", p.exitCode(t))
		}
	}
}

// Wrong configuration: exit 2 and one line that names the key.
func TestWrongConfiguration(t *testing.T) {
	t.Parallel()
	for key, env := range map[string][]string{
		"PENSTOCK_DATABASE_URL": {"PENSTOCK_DATABASE_URL=sqlite://x"},
		"PENSTOCK_REDIS_URL":    {"PENSTOCK_DATABASE_URL=postgres://h/d"},
		"PENSTOCK_CONFIG":       {"PENSTOCK_DATABASE_URL=postgres://h/d", "PENSTOCK_REDIS_URL=redis://h"},
		"PENSTOCK_LOG":          {"PENSTOCK_DATABASE_URL=postgres://h/d", "PENSTOCK_REDIS_URL=redis://h", "PENSTOCK_LOG=x"},
	} {
		p := start(t, env, "worker")
		code, said := p.exitCode(t), p.log.String()
		if code != 2 || strings.Count(said, "\n") != 1 || !strings.Contains(said, key) {
			t.Errorf("%s: exit code %d, said %q", key, code, said)
		}
	}
}
