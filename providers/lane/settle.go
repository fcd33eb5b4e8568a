package lane

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// Settled is what the settlement of a call did.
type Settled struct {
	// Now is false when the call had been settled before, or its permit lapsed.
	Now bool
	// Opened is the opening that the call caused; its Number is zero for none.
	Opened Opening
	// Closed says that the call was the probe that closed the breaker.
	Closed bool
	// Down says that the call failed as the one before it in its lane did, whoever's
	// that was, or that the breaker was open when it had failed.
	Down bool
}

// storePatience bounds what a settlement asks of the store, so that a store that
// hangs keeps nothing from Redis.
const storePatience = time.Second

// Settle ends a call's permit with what became of the call: one round trip,
// unless there is a hint or the breaker moves. Each of these is in the store
// before, or as soon as, Redis acts by it. Repeating it is harmless: a hint
// counts each time, all else once.
//
// After an error it is worth repeating. What could be done has been done.
func (l *Lanes) Settle(ctx context.Context, p Permit, r Result) (Settled, error) {
	if r.Hint = min(max(r.Hint, 0), providers.MaxHint); r.Hint > 0 {
		r.Hint += rounding
	}
	kept, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	errGate := l.keepGate(kept, p.Pool, r.Hint)
	e, errProbe := l.endProbe(kept, p, r)
	done, err := l.settle(ctx, p, r, e)
	if done.Opened.Number > 0 && e.word == "" {
		err = errors.Join(err, l.store.KeepOpening(ctx, p.Lane, done.Opened))
	}
	if err := errors.Join(errGate, errProbe, err); err != nil {
		return done, fmt.Errorf("settle a call to %s: %w", p.Target, err)
	}
	return done, nil
}

func (l *Lanes) settle(ctx context.Context, p Permit, r Result, e ending) (Settled, error) {
	input, output := r.tokens()
	keys := []string{
		poolKey(p.Pool), laneKey(p.Lane), permitsKey(p.Pool), lanePermitsKey(p.Lane), callKey(p.Pool, p.Call), windowKey(p.Lane),
	}
	told, empty := quotaOf(r.Quota)
	got, err := settleScript.Run(ctx, l.redis, keys,
		p.Call.String(), string(r.outcome()), input, output, micros(r.shuts()), l.configured(p.Pool).String(),
		micros(l.cfg.Burst), idle.Milliseconds(), told, empty, micros(believed),
		micros(l.cfg.FirstOpening), micros(l.cfg.LongestOpening), e.word, e.next.Number, micros(e.next.For)).Int64Slice()
	if err != nil {
		return Settled{}, fmt.Errorf("tell Redis: %w", err)
	}
	if len(got) != 5 {
		return Settled{}, errAnswer
	}
	done := Settled{Now: got[0] == 1, Closed: e.word == "close", Down: got[3] == 1}
	done.Opened = Opening{Number: int(got[1]), For: time.Duration(got[2]) * time.Microsecond}
	if e.word == "reopen" {
		done.Opened, done.Down = e.next, r.outcome() == outcomeBad
	}
	return done, l.keepDebt(ctx, p.Pool, time.Duration(got[4])*time.Microsecond)
}

// outcome is what a result means to the breaker.
type outcome string

const (
	outcomeOK     outcome = "ok"
	outcomeBad    outcome = "bad"
	outcomeNone   outcome = "none"
	outcomeUnsent outcome = "unsent"
)

// outcome returns what the breaker makes of r. A provider that answers that a
// request is wrong is well; one that says "not now", or was not heard out, has
// shown neither.
func (r Result) outcome() outcome {
	switch {
	case r.Unsent:
		return outcomeUnsent
	case r.Class == providers.Cancelled, r.Class == providers.RateLimited, r.Class == providers.QuotaExhausted:
		return outcomeNone
	case r.Class.Policy().Breaker:
		return outcomeBad
	default:
		return outcomeOK
	}
}

// shuts returns for how long the gate is shut in Redis. A provider that says "not
// now" and not how long is given a moment. The store does not hear of that: it is
// no hint.
func (r Result) shuts() time.Duration {
	if r.Class == providers.RateLimited && r.Hint == 0 {
		return unhinted
	}
	return r.Hint
}

// tokens returns what the call used; -1 when that is not known.
func (r Result) tokens() (input, output int64) {
	switch {
	case r.Unsent:
		return 0, 0
	case r.Usage.Known:
		return within(r.Usage.InputTokens), within(r.Usage.OutputTokens)
	case r.refused():
		return 0, 0
	default:
		return -1, -1
	}
}

func within(tokens int64) int64 { return min(max(tokens, 0), maxTokens) }

// refused reports whether the provider did none of the work.
func (r Result) refused() bool {
	switch r.Class {
	case providers.RateLimited, providers.QuotaExhausted, providers.Overloaded, providers.TimeoutConnect,
		providers.BadRequest, providers.Authentication, providers.Permission, providers.NotFound, providers.ContextLength:
		return true
	default:
		return false
	}
}

// quotaOf returns what was told of limits as settleScript reads it: the limits,
// and which of them are used up. A limit that nobody can mean is none.
func quotaOf(q providers.Quota) (told, empty string) {
	for i, limit := range []providers.QuotaLimit{q.Requests, q.InputTokens, q.OutputTokens, q.Tokens} {
		if i > 0 {
			told, empty = told+" ", empty+" "
		}
		if limit.Limit < 1 || limit.Limit > maxLimit {
			told, empty = told+"0", empty+"0"
			continue
		}
		told += strconv.FormatInt(limit.Limit, 10)
		if limit.Remaining <= 0 {
			empty += "1"
		} else {
			empty += "0"
		}
	}
	return told, empty
}
