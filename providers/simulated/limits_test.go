package simulated_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// TestRPM: who waits as told is let in, who does not is not.
func TestRPM(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, provider := start(t, simulated.Faults{RPM: 6})
		call := func() providers.Error {
			_, err := provider.Call(t.Context(), prompt("x"), nil)
			return failureOf(t, err)
		}
		for i := range 6 {
			if got := call(); got.Class != "" {
				t.Fatalf("call %d: got %s", i, got.Class)
			}
		}
		got := call()
		if got.Class != providers.RateLimited || got.RetryAfter != time.Minute {
			t.Fatalf("got %s, hint %s; want rate_limited with the reset of all, 1m", got.Class, got.RetryAfter)
		}
		time.Sleep(10*time.Second - time.Millisecond)
		if got := call(); got.Class != providers.RateLimited {
			t.Errorf("a millisecond early: got %q", got.Class)
		}
		time.Sleep(time.Millisecond)
		if got := call(); got.Class != "" {
			t.Errorf("in time: got %s", got.Class)
		}
		time.Sleep(time.Hour)
		admitted := 0
		for range 20 {
			if call().Class == "" {
				admitted++
			}
		}
		if admitted != 6 {
			t.Errorf("%d calls after an idle hour, want 6", admitted)
		}
	})
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, provider := start(t, simulated.Faults{Concurrent: 2, Latency: simulated.Duration(time.Minute)})
		classes := make(chan providers.Class, 5)
		for i := range 5 {
			go func() {
				_, err := provider.Call(t.Context(), prompt(fmt.Sprint(i)), nil)
				classes <- failureOf(t, err).Class
			}()
		}
		counts := map[providers.Class]int{}
		for range 5 {
			counts[<-classes]++
		}
		if counts[""] != 2 || counts[providers.RateLimited] != 3 {
			t.Errorf("got %v, want 2 answers and 3 rate_limited", counts)
		}
		if _, err := provider.Call(t.Context(), prompt("later"), nil); err != nil {
			t.Errorf("a place was not given back: %v", err)
		}
	})
}

func TestOutages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const minute = simulated.Duration(time.Minute)
		origin := time.Now()
		faults := simulated.Faults{Outages: []simulated.Outage{
			{Start: simulated.Start{After: 10 * time.Minute}, Duration: minute, RetryAfter: "30"},
			{Start: simulated.Start{At: origin.Add(20 * time.Minute)}, Duration: minute, Status: 500},
			{Start: simulated.Start{After: 30 * time.Minute}, Duration: minute, Mode: simulated.Refuse},
			{Start: simulated.Start{After: 40 * time.Minute}, Duration: minute, Mode: simulated.Hang},
		}}
		_, provider := start(t, faults)
		for _, step := range []struct {
			at    time.Duration
			want  providers.Class
			hint  time.Duration
			after time.Duration
		}{
			{0, "", 0, 0},
			{10*time.Minute - 1, "", 0, 0},
			{10 * time.Minute, providers.Overloaded, 30 * time.Second, 0},
			{11*time.Minute - 1, providers.Overloaded, 30 * time.Second, 0},
			{11 * time.Minute, "", 0, 0},
			{20 * time.Minute, providers.ServerError, 0, 0},
			{30 * time.Minute, providers.Connection, 0, 0},
			{31 * time.Minute, "", 0, 0},
			{40*time.Minute + 10*time.Second, providers.Connection, 0, 50 * time.Second},
			{50 * time.Minute, "", 0, 0},
		} {
			time.Sleep(time.Until(origin.Add(step.at)))
			began := time.Now()
			_, err := provider.Call(t.Context(), prompt("x"), nil)
			got := failureOf(t, err)
			if got.Class != step.want || got.RetryAfter != step.hint || time.Since(began) != step.after {
				t.Errorf("at %s: got %q, hint %s, after %s; want %+v", step.at, got.Class, got.RetryAfter, time.Since(began), step)
			}
		}
	})
}

// TestRefusedConnection has no connection left from before: the dial itself
// fails.
func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, provider := start(t, simulated.Faults{Outages: []simulated.Outage{
			{Duration: simulated.Duration(time.Minute), Mode: simulated.Refuse},
		}})
		_, err := provider.Call(t.Context(), prompt("x"), nil)
		if got := failureOf(t, err); got.Class != providers.Connection || len(server.Calls()) != 0 {
			t.Errorf("got %s and %d calls in the log, want connection and none", got.Class, len(server.Calls()))
		}
	})
}
