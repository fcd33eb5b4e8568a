package lane

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// State is how a lane is, for those who operate it.
type State struct {
	// Room is that of the next minute.
	Room
	// Limits are those in force; ByOperator says that they are not the
	// configuration's. Learned are the provider's, zero where it told none: they
	// count too.
	Limits     Limits
	ByOperator bool
	Learned    Learned
	// UsedUp is how long limits let no further call through; zero: they do now.
	UsedUp time.Duration
	// Openings is how often in a row the breaker opened last; Untried says that no
	// probe has succeeded since, Probing that one is under way. Ramp is how many calls
	// may be under way while traffic is brought back; zero: there is no such bound.
	Openings int
	Untried  bool
	Probing  bool
	Ramp     int64
	// Normal is the share of calls that fail on a usual day, 0.01 to 0.5.
	Normal     float64
	LastMinute Traffic
}

// Learned are limits a minute that a provider told of.
type Learned struct{ Requests, Input, Output, Tokens int64 }

// Traffic is what was settled in the last minute.
type Traffic struct {
	// Good and Bad count calls as the breaker does, Other those that say nothing of
	// the lane.
	Good, Bad, Other int64
	// Input and Output are tokens.
	Input, Output int64
}

// health is the share of calls that were good, of those that tell.
func (t Traffic) health() float64 {
	if t.Good+t.Bad == 0 {
		return 1
	}
	return float64(t.Good) / float64(t.Good+t.Bad)
}

// States tells how lanes are, in their order: see [Lanes.Room] for the error.
func (l *Lanes) States(ctx context.Context, lanes ...Lane) ([]State, error) {
	views, err := l.look(ctx, lanes)
	if views == nil {
		return nil, err
	}
	states := make([]State, len(views))
	for i, v := range views {
		states[i] = v.state(l.configured(v.lane.Pool), l.cfg.Burst)
	}
	return states, err
}

func (v view) state(configured Limits, burst time.Duration) State {
	s := State{
		Room: v.room(configured, burst, time.Minute),
		Ramp: v.own.int("ramp"), LastMinute: v.lastMinute(),
		Openings: int(v.own.int("opened")),
		Untried:  v.own["open_until"] != "",
		Probing:  v.own["open_until"] != "" && v.until(v.own, "probe_until") > 0,
	}
	s.Limits, s.ByOperator = v.limits(configured)
	s.UsedUp = v.until(v.pool, "pace_next")
	for _, m := range v.meters(s.Limits) {
		s.UsedUp = max(s.UsedUp, time.Duration(m.full-v.now)*time.Microsecond-burst)
	}
	if v.until(v.own, "learned_until") > 0 {
		s.Learned = Learned{
			Requests: v.own.int("limit_requests"), Input: v.own.int("limit_input"),
			Output: v.own.int("limit_output"), Tokens: v.own.int("limit_tokens"),
		}
	}
	s.Normal, _ = strconv.ParseFloat(v.own["normal"], 64) // zero while nothing is built
	return s
}

// slot is how long each part of the window is, in µs: see settle.lua.
const slot = 5_000_000

func (v view) lastMinute() Traffic {
	var t Traffic
	for field := range v.window {
		at, what, _ := strings.Cut(field, ":")
		n, err := strconv.ParseInt(at, 10, 64)
		if err != nil || n <= v.now/slot-int64(time.Minute/time.Microsecond)/slot {
			continue
		}
		count := v.window.int(field)
		switch what {
		case string(outcomeOK):
			t.Good += count
		case string(outcomeBad):
			t.Bad += count
		case string(outcomeNone):
			t.Other += count
		case "input":
			t.Input += count
		case "output":
			t.Output += count
		}
	}
	return t
}
