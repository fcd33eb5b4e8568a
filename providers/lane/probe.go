package lane

import (
	"context"
	"errors"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// cleanUp bounds what is put right after a call was not sent after all.
const cleanUp = 2 * time.Second

// probe makes a call that Redis has chosen the lane's probe, if the store agrees:
// Redis may have forgotten another. Then Redis is asked once more, because a gate
// may have been shut meanwhile, or all of it been lost.
func (l *Lanes) probe(ctx context.Context, a Ask, got answer) (Verdict, error) {
	p := Permit{
		Lane: a.Lane, Call: a.Call, Input: a.Input, Output: a.Output,
		Probe: true, Within: l.cfg.ProbeTimeout, Opening: got.opening,
	}
	alone := l.cfg.ProbeTimeout + grace
	taken, err := l.store.TakeProbe(ctx, a.Lane, a.Call, alone)
	if err != nil {
		return Verdict{}, errors.Join(err, l.unsend(ctx, p, release))
	}
	if !taken {
		err := errors.Join(l.unsend(ctx, p, release), l.forget(ctx, a.Lane, breakerFields...))
		return Verdict{Reason: Breaker, For: poll}, err
	}
	again, err := l.ask(ctx, a, alone)
	if err == nil && again.word == admitted {
		return Verdict{Admitted: true, Permit: p}, nil
	}
	_, errEnd := l.Settle(context.WithoutCancel(ctx), p, Result{Unsent: true})
	return again.verdict(a), errors.Join(err, errEnd)
}

// unsend gives back what a call had reserved that is not sent.
func (l *Lanes) unsend(ctx context.Context, p Permit, e ending) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	_, err := l.settle(ctx, p, Result{Unsent: true}, e)
	return err
}

// ending is what the end of a probe means.
type ending struct {
	// word is as settleScript has it; empty for a call that is no probe.
	word string
	// next is the opening that follows; zero: the breaker closes.
	next Opening
}

// release lets another call be the probe at once.
var release = ending{word: "release"}

// endingOf returns what the result of a probe means.
func (l *Lanes) endingOf(p Permit, r Result) ending {
	switch r.outcome() {
	case outcomeOK:
		return ending{word: "close"}
	case outcomeBad:
		number := p.Opening + 1
		again := max(l.openFor(number)-r.Took, l.cfg.FirstOpening)
		return ending{word: "reopen", next: Opening{Number: number, For: again}}
	case outcomeNone:
		if r.Class != providers.Cancelled { // it was told "not now": the next would be too
			return ending{word: "reopen", next: Opening{Number: max(p.Opening, 1), For: l.cfg.FirstOpening}}
		}
	case outcomeUnsent:
	}
	return ending{word: "release", next: Opening{Number: max(p.Opening, 1)}}
}

// openFor is how long the breaker stays open at its nth opening in a row.
func (l *Lanes) openFor(n int) time.Duration {
	d := l.cfg.FirstOpening
	for ; n > 1 && d < l.cfg.LongestOpening; n-- {
		d *= 2
	}
	return min(d, l.cfg.LongestOpening)
}

// endProbe writes the end of a probe to the store, before Redis hears of it: what
// Redis says of a breaker must not be lost with it.
func (l *Lanes) endProbe(ctx context.Context, p Permit, r Result) (ending, error) {
	if !p.Probe {
		return ending{}, nil
	}
	e := l.endingOf(p, r)
	was, err := l.store.EndProbe(ctx, p.Lane, p.Call, e.next)
	if err != nil || !was {
		// Another call is the probe by now, or nobody knows: it is not for this one to
		// say how the lane is.
		return release, err
	}
	return e, nil
}
