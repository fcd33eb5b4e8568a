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
// asynq, Redis, dispatcher, worker, provider. The provider throttles, fails one
// call in eight and is away for ten minutes; the process stops and starts again
// in the middle. Every job ends once, and nothing waits for long.
func TestSimTwoHours(t *testing.T) {
	t.Parallel()
	faults := writeFile(t, `{
		"latency": "2s", "sigma": 0.8, "per_token": "20ms", "output_tokens": {"min": 3, "max": 9}, "rpm": 30, "concurrent": 4,
		"errors": {"server_error": 0.04, "rate_limited": 0.03, "truncated": 0.03, "stall": 0.02},
		"outages": [{"start": "20m", "duration": "10m"}]
	}`)
	file := File{
		Providers: map[string]ProviderConfig{"sim": {Type: "simulated", Faults: faults, Seed: 7}},
		Routes:    map[string]RouteConfig{"default": {Targets: []string{"sim/sim-1"}, MaxAttempts: 40}},
	}
	dir := t.TempDir()
	realStart := time.Now()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		rnd := rand.New(rand.NewPCG(1, 2))
		s := startStack(t, dir, file)
		var ids []string
		duplicates := 0
		arrive := func(until time.Duration) {
			for time.Since(begin) < until {
				// One prompt in ten is asked for twice.
				prompt := fmt.Sprintf("prompt %d", len(ids))
				ids = append(ids, s.submit(prompt, `,"timeout":"2h"`).ID)
				if len(ids)%10 == 0 {
					ids = append(ids, s.submit(prompt, `,"timeout":"2h"`).ID)
					duplicates++
				}
				time.Sleep(time.Duration(rnd.ExpFloat64() * float64(20*time.Second)))
			}
		}
		arrive(50 * time.Minute)
		s.stop()
		s = startStack(t, dir, file)
		arrive(100 * time.Minute)

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
		if rest := 2*time.Hour - time.Since(begin); rest > 0 {
			time.Sleep(rest)
		}
		s.stop()
		t.Logf("%d jobs in %s of virtual time", len(ids), time.Since(begin).Round(time.Second))
	})
	t.Logf("took %s of real time", time.Since(realStart).Round(time.Millisecond))
}
