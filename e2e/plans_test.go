package e2e

import (
	"slices"
	"testing"
)

// Five seeds in a row try each fault alone five times and every pair once.
func TestPlansTryEveryPair(t *testing.T) {
	t.Parallel()
	tried := map[string]int{}
	for seed := uint64(6); seed <= 10; seed++ {
		for _, p := range plans(seed) {
			tried[p.name()]++
		}
	}
	for i, a := range kinds {
		if got := tried[a.name]; got != handsOf {
			t.Errorf("%s alone: tried %d times, want %d", a.name, got, handsOf)
		}
		for _, b := range kinds[i+1:] {
			if got := tried[a.name+"+"+b.name]; got != 1 {
				t.Errorf("%s and %s: tried %d times, want once", a.name, b.name, got)
			}
		}
	}
}

func TestPlansReplay(t *testing.T) {
	t.Parallel()
	first, second := plans(3), plans(3)
	if !slices.EqualFunc(first, second, func(a, b plan) bool { return a.String() == b.String() }) {
		t.Errorf("one seed, two schedules: %v and %v", first, second)
	}
	if other := plans(4); other[0].String() == first[0].String() {
		t.Errorf("two seeds, one schedule: %v", first[0])
	}
}
