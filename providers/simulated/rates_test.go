//go:build !race

package simulated_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// TestLatencyIsLognormal: the median and the spread of what was ordered.
func TestLatencyIsLognormal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, provider := start(t, simulated.Faults{
			Latency: simulated.Duration(time.Second), Sigma: 0.5, OutputTokens: simulated.Range{Min: 1, Max: 1},
		})
		var logs []float64
		for i := range 1000 {
			got, err := provider.Call(t.Context(), prompt(fmt.Sprint(i)), nil)
			if err != nil {
				t.Fatal(err)
			}
			logs = append(logs, math.Log(got.TimeToFirstToken.Seconds()))
		}
		slices.Sort(logs)
		median, spread := logs[500], (logs[841]-logs[158])/2
		if math.Abs(median) > 0.06 || math.Abs(spread-0.5) > 0.06 {
			t.Errorf("log of the latency: median %.3f, want 0; sigma %.3f, want 0.5", median, spread)
		}
	})
}

func TestErrorsComeAtTheirRate(t *testing.T) {
	t.Parallel()
	_, provider := start(t, simulated.Faults{
		OutputTokens: simulated.Range{Min: 1, Max: 1},
		Errors:       map[string]float64{"overloaded": 0.2, "server_error": 0.1},
	})
	counts := map[providers.Class]int{}
	for i := range 1000 {
		_, err := provider.Call(t.Context(), prompt(fmt.Sprint(i)), nil)
		counts[failureOf(t, err).Class]++
	}
	if n := counts[providers.Overloaded]; n < 160 || n > 240 {
		t.Errorf("overloaded %d times in 1000, want about 200", n)
	}
	if n := counts[providers.ServerError]; n < 70 || n > 130 {
		t.Errorf("server_error %d times in 1000, want about 100", n)
	}
	if len(counts) != 3 {
		t.Errorf("got %v", counts)
	}
}
