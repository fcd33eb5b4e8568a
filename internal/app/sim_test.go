//go:build !race

package app

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// Invariants 1, 3 and 5 for two hours of the whole embedded stack: HTTP, SQLite,
// asynq, Redis, dispatcher, worker, provider; with -short, for half of one. The
// provider throttles, fails one call in eight and is away for a twelfth of the
// time; the process stops and starts again in the middle. Every job ends once, and
// nothing waits for long.
func TestSimTwoHours(t *testing.T) {
	t.Parallel()
	length := 2 * time.Hour
	if testing.Short() {
		length /= 4
	}
	faults := writeFile(t, fmt.Sprintf(`{
		"latency": "2s", "sigma": 0.8, "per_token": "20ms", "output_tokens": {"min": 3, "max": 9}, "rpm": 30, "concurrent": 4,
		"errors": {"server_error": 0.04, "rate_limited": 0.03, "truncated": 0.03, "stall": 0.02},
		"outages": [{"start": %q, "duration": %q}]
	}`, length/6, length/12))
	file := File{
		Providers: map[string]ProviderConfig{"sim": {Type: "simulated", Faults: faults, Seed: 7}},
		Routes:    map[string]RouteConfig{"default": {Targets: []string{"sim/sim-1"}, MaxAttempts: 40}},
	}
	dir := t.TempDir()
	realStart := time.Now()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		timeout := fmt.Sprintf(`,"timeout":%q`, length)
		rnd := rand.New(rand.NewPCG(1, 2))
		s := startStack(t, dir, file)
		var ids []string
		duplicates := 0
		arrive := func(until time.Duration) {
			for time.Since(begin) < until {
				// One prompt in ten is asked for twice.
				prompt := fmt.Sprintf("prompt %d", len(ids))
				ids = append(ids, s.submit(prompt, timeout).ID)
				if len(ids)%10 == 0 {
					ids = append(ids, s.submit(prompt, timeout).ID)
					duplicates++
				}
				time.Sleep(time.Duration(rnd.ExpFloat64() * float64(20*time.Second)))
			}
		}
		arrive(length * 5 / 12)
		s.stop()
		s = startStack(t, dir, file)
		arrive(length * 10 / 12)

		statuses := map[string]int{}
		deduplicated := 0
		for _, id := range ids {
			a := s.wait(id)
			for a.Status == "queued" || a.Status == "running" {
				a = s.wait(id)
			}
			statuses[a.Status]++
			if a.Deduplicated {
				deduplicated++
			}
			if a.FinishedAt.After(begin.Add(2 * time.Hour)) {
				t.Errorf("job %s ended at %s, after two hours", id, a.FinishedAt.Sub(begin))
			}
		}
		if want := map[string]int{"succeeded": len(ids)}; !maps.Equal(statuses, want) {
			t.Errorf("got %v, want %v", statuses, want)
		}
		if deduplicated != duplicates {
			t.Errorf("got %d jobs deduplicated, want %d", deduplicated, duplicates)
		}
		if rest := length - time.Since(begin); rest > 0 {
			time.Sleep(rest)
		}
		s.stop()
		t.Logf("%d jobs in %s of virtual time", len(ids), time.Since(begin).Round(time.Second))
	})
	t.Logf("took %s of real time", time.Since(realStart).Round(time.Millisecond))
}
