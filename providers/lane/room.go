package lane

import (
	"context"
	"math"
	"strings"
	"time"
)

// Unbounded is the room of what has no limit.
const Unbounded = math.MaxInt64

// Room is what may be admitted to a lane. What belongs to its pool it shares with
// the pool's other lanes.
type Room struct {
	Lane
	// Reason is empty when the lane admits calls. Otherwise it says why it does not,
	// and For how long; zero where nobody can know.
	Reason Reason
	For    time.Duration
	// Requests, Input, Output and Tokens, which are both together, say how much may
	// be admitted from now to the horizon, whatever is under way; [Unbounded] when
	// there is no limit.
	Requests, Input, Output, Tokens int64
	// Slots says how many more calls may be under way at once. Half open it is one,
	// and few while traffic is being brought back.
	Slots int64
	// Recovering says that the breaker is half open, or that traffic is being brought
	// back.
	Recovering bool
	// InPool counts the calls under way in the lane's pool, InLane those of its own.
	InPool, InLane int64
	// Health is the share of the calls of the last minute that were good; 1 when
	// there were none.
	Health float64
}

// Room tells how much each lane will admit from now to the horizon, in the order
// of the lanes: one round trip for all of them, unless Redis had lost some.
//
// A lane that could not be rebuilt has the reason [Rebuilding]; then the error says
// why, and the others are as good as ever. Without rooms nothing is known.
func (l *Lanes) Room(ctx context.Context, horizon time.Duration, lanes ...Lane) ([]Room, error) {
	views, err := l.look(ctx, lanes)
	if views == nil {
		return nil, err
	}
	rooms := make([]Room, len(views))
	for i, v := range views {
		rooms[i] = v.room(l.configured(v.lane.Pool), l.cfg.Burst, horizon)
	}
	return rooms, err
}

// room is what admitScript would say.
func (v view) room(configured Limits, burst, horizon time.Duration) Room {
	r := Room{Lane: v.lane, InPool: v.inPool, InLane: v.inLane, Requests: Unbounded, Input: Unbounded, Output: Unbounded, Tokens: Unbounded}
	limits, _ := v.limits(configured)
	r.Health = v.lastMinute().health()
	r.Slots = free(limits.Concurrency, v.inPool)
	r.Requests = v.paced(horizon)
	for _, m := range v.meters(limits) {
		left := m.room(v.now, burst, horizon)
		switch m.name {
		case "requests":
			r.Requests = min(r.Requests, left)
		case "input":
			r.Input = min(r.Input, left)
		case "output":
			r.Output = min(r.Output, left)
		default:
			r.Tokens = min(r.Tokens, left)
		}
	}
	r.Reason, r.For = v.closed()
	switch {
	case r.Reason != "":
	case v.own.int("open_until") > 0: // half open
		r.Slots, r.Recovering = min(r.Slots, 1), true
	case v.own["ramp"] != "":
		r.Slots, r.Recovering = min(r.Slots, free(v.own.int("ramp"), v.inLane)), true
	}
	if r.Reason == "" && r.Slots == 0 {
		r.Reason = Capacity
	}
	return r
}

// paced returns how many calls are let through up to the horizon because the gate
// was shut: see admit.lua.
func (v view) paced(horizon time.Duration) int64 {
	const all = 256
	before, left := v.pool.int("paced"), horizon-v.until(v.pool, "pace_next")
	sum := float64(before+1) * math.Exp2(left.Seconds())
	switch {
	case v.pool["pace_next"] == "", sum >= all:
		return Unbounded
	case left < 0:
		return 0
	default:
		return int64(sum) - before
	}
}

func free(most, used int64) int64 {
	if most == 0 {
		return Unbounded
	}
	return max(most-used, 0)
}

// closed returns why the lane admits nothing, whatever its limits, and for how long,
// if that is known.
func (v view) closed() (Reason, time.Duration) {
	gate, open := v.until(v.pool, "gate"), v.until(v.own, "open_until")
	switch {
	case !v.built():
		return Rebuilding, 0
	case v.pool["hold"] != "":
		return Reason(v.pool["hold"]), 0
	case v.own["hold"] != "":
		return Reason(v.own["hold"]), 0
	case gate > 0:
		return RateLimit, gate
	case open > 0:
		return Breaker, open
	case v.own["open_until"] != "" && v.until(v.own, "probe_until") > 0: // it may end any time
		return Breaker, 0
	default:
		return "", 0
	}
}

// limits returns the limits in force, and whether they are an operator's.
func (v view) limits(configured Limits) (Limits, bool) {
	text, theirs := v.pool["limits"]
	if !theirs {
		return configured, false
	}
	var n fields = make(map[string]string, 4)
	for i, part := range strings.Fields(text) {
		n[string(rune('0'+i))] = part
	}
	return Limits{n.int("0"), n.int("1"), n.int("2"), n.int("3")}, true
}

// meter is one limit per minute.
type meter struct {
	// name is of what: requests, input, output or tokens.
	name string
	rate int64
	// full is until when it is used up, by Redis' clock in µs.
	full int64
}

// meters lists what limits calls of the lane, as lib.lua does.
func (v view) meters(limits Limits) []meter {
	all := []meter{
		{"requests", limits.RequestsPerMinute, v.pool.int("requests")},
		{"input", limits.InputTokensPerMinute, v.pool.int("input")},
		{"output", limits.OutputTokensPerMinute, v.pool.int("output")},
	}
	if v.until(v.own, "learned_until") > 0 {
		for _, name := range []string{"requests", "input", "output", "tokens"} {
			all = append(all, meter{name, v.own.int("limit_" + name), v.own.int(name)})
		}
	}
	var some []meter
	for _, m := range all {
		if m.rate > 0 {
			some = append(some, m)
		}
	}
	return some
}

// room returns how many the meter lets through from now to the horizon, if each
// is one of what it counts.
func (m meter) room(now int64, burst, horizon time.Duration) int64 {
	left := burst.Microseconds() + horizon.Microseconds() - max(m.full-now, 0)
	if left < 0 {
		return 0
	}
	return int64(float64(left)*float64(m.rate)/float64(time.Minute.Microseconds())) + 1
}
