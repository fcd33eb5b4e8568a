package app

import (
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers/lane"
)

// A lane whose breaker is open does not recover before a probe has succeeded, however
// long ago the time of its opening was over.
func TestStatesOfABreaker(t *testing.T) {
	t.Parallel()
	room := lane.Room{Slots: 1, Requests: 1, Input: 1, Output: 1, Tokens: 1}
	shut, tried := room, room
	shut.Reason, tried.Recovering = lane.Breaker, true
	for want, s := range map[string]lane.State{
		"open":         {Room: room},
		"breaker_open": {Room: shut, Untried: true},
		"probing":      {Room: shut, Untried: true, Probing: true},
		"recovering":   {Room: tried},
	} {
		if got := stateOf(s); got != want {
			t.Errorf("%+v: got %s, want %s", s, got, want)
		}
	}
	if got := stateOf(lane.State{Room: tried, Untried: true}); got != "breaker_open" {
		t.Errorf("half open and untried: got %s, want breaker_open", got)
	}
}

// A limit of ours that is used up is told with the time until it lets another call
// through; what keeps a lane besides has its own time, or none.
func TestAUsedUpLimitIsTold(t *testing.T) {
	t.Parallel()
	room := lane.Room{Slots: 1, Requests: 3, Input: 1, Output: 1, Tokens: 1}
	s := lane.State{Room: room, UsedUp: 19 * time.Second}
	if got := told(s); got.State != "rate_limited" || got.For != 19*time.Second {
		t.Errorf("got %s for %v, want rate_limited for 19s", got.State, got.For)
	}
	s.Reason = lane.Paused
	if got := told(s); got.State != "paused" || got.For != 0 {
		t.Errorf("paused: got %s for %v, want nobody to know for how long", got.State, got.For)
	}
}
