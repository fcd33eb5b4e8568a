package lane

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// rebuildTries bounds how often a lane is rebuilt that is lost again meanwhile.
const rebuildTries = 5

// Admit asks to send a call: one round trip, unless Redis had lost the lane or
// the call is to be its probe. A call that is admitted is settled. Asking again
// for a call that holds its permit changes nothing.
//
// An error means that nothing was admitted because it is not known whether it
// may be: Redis is away, or it had lost the lane and the store is away.
func (l *Lanes) Admit(ctx context.Context, a Ask) (Verdict, error) {
	got, err := l.ask(ctx, a, l.cfg.Lease)
	if err != nil {
		return Verdict{}, fmt.Errorf("admit a call to %s: %w", a.Target, err)
	}
	if err := l.keepDebt(ctx, a.Pool, got.debt); err != nil {
		err = errors.Join(err, l.unsend(ctx, got.verdict(a).Permit, release))
		return Verdict{}, fmt.Errorf("admit a call to %s: %w", a.Target, err)
	}
	if got.probe {
		v, err := l.probe(ctx, a, got)
		if err != nil {
			return Verdict{}, fmt.Errorf("admit a probe of %s: %w", a.Target, err)
		}
		return v, nil
	}
	return got.verdict(a), nil
}

// ask asks Redis, and rebuilds what it has lost. When the answer is that the
// call is a probe, no other is for the given time.
func (l *Lanes) ask(ctx context.Context, a Ask, alone time.Duration) (answer, error) {
	if err := a.check(); err != nil {
		return answer{}, err
	}
	for range rebuildTries {
		got, err := l.askOnce(ctx, a, alone)
		if err != nil || got.word != unbuilt {
			return got, err
		}
		if err := l.rebuild(ctx, a.Lane); err != nil {
			return answer{}, err
		}
	}
	return answer{word: string(Rebuilding), wait: poll}, nil
}

func (l *Lanes) askOnce(ctx context.Context, a Ask, alone time.Duration) (answer, error) {
	keys := []string{
		poolKey(a.Pool), laneKey(a.Lane), permitsKey(a.Pool), lanePermitsKey(a.Lane), callKey(a.Pool, a.Call),
	}
	parts, err := admitScript.Run(ctx, l.redis, keys,
		a.Call.String(), a.Input, a.Output, l.configured(a.Pool).String(), micros(l.cfg.Burst),
		l.cfg.Lease.Milliseconds(), idle.Milliseconds(), micros(poll), micros(alone)).StringSlice()
	if err != nil {
		return answer{}, fmt.Errorf("ask Redis: %w", err)
	}
	return readAnswer(parts)
}

// Words of admitScript that are no [Reason].
const (
	admitted = "admitted"
	unbuilt  = "unbuilt"
)

// answer is what admitScript returns.
type answer struct {
	word string
	wait time.Duration
	// probe says that the call is the one probe if the store agrees; opening is
	// the number of the opening it tests.
	probe   bool
	opening int
	// debt is for how long the pool's tokens are used up then.
	debt time.Duration
}

// verdict is what the answer means when the call is no probe.
func (g answer) verdict(a Ask) Verdict {
	if g.word != admitted {
		return Verdict{Reason: Reason(g.word), For: g.wait}
	}
	return Verdict{Admitted: true, Permit: Permit{Lane: a.Lane, Call: a.Call, Input: a.Input, Output: a.Output}}
}

var errAnswer = errors.New("an answer of Redis that no script of this program gives")

func readAnswer(parts []string) (answer, error) {
	switch {
	case len(parts) == 1 && parts[0] == unbuilt:
		return answer{word: unbuilt}, nil
	case len(parts) == 4 && parts[0] == admitted:
		opening, err := strconv.Atoi(parts[2])
		debt, errDebt := strconv.ParseInt(parts[3], 10, 64)
		return answer{
			word: admitted, probe: parts[1] == "probe", opening: opening, debt: time.Duration(debt) * time.Microsecond,
		}, errors.Join(err, errDebt)
	case len(parts) == 2:
		wait, err := strconv.ParseInt(parts[1], 10, 64)
		return answer{word: parts[0], wait: least(time.Duration(wait) * time.Microsecond)}, err
	default:
		return answer{}, errAnswer
	}
}

// maxTokens keeps times in whole microseconds exact.
const maxTokens = 1_000_000_000

func (a Ask) check() error {
	if a.Pool == "" || a.Target == "" {
		return errors.New("want a pool and a target")
	}
	if a.Input < 0 || a.Output < 0 || a.Input > maxTokens || a.Output > maxTokens {
		return fmt.Errorf("an estimate of %d and %d tokens; want 0 to %d", a.Input, a.Output, maxTokens)
	}
	return nil
}
