package app

import (
	"testing"

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
