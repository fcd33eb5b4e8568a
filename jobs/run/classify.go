package run

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

const (
	// defaultMaxAttempts is the number of tries of a route that is not known.
	defaultMaxAttempts = 5
	// elsewhereDelay is how long work that this process cannot do, for want of the
	// provider or of a secret, waits before it is released again, hopefully to
	// another.
	elsewhereDelay = 10 * time.Second
	// leastSooner bounds how soon work comes back before its lane lets it through.
	leastSooner = time.Second
)

// decide says what becomes of the execution.
func (u *run) decide(w jobs.Work, a attempt) decision {
	d := decision{task: w.Task, call: callOf(w, a), gap: a.gap, lane: a.settled, at: a.ended, target: w.Target, degraded: w.Degraded}
	if d.degraded { // it runs again at once if the outcome is not for all of its jobs
		d.runAt, d.waitingOn = a.ended, jobs.WaitingOnCapacity
	}
	switch {
	case a.held != nil:
		u.giveBack(&d, w, a)
	case a.failure == nil:
		d.status, d.result = jobs.StatusSucceeded, a.response.Body
		d.incomplete = providers.Incomplete(w.Endpoint, d.result)
	default:
		u.afterFailure(&d, w, a)
	}
	return d
}

// giveBack returns an execution whose call we did not make or broke off
// ourselves. It costs no try, and if nobody waits for it the store says so.
func (u *run) giveBack(d *decision, w jobs.Work, a attempt) {
	d.message = a.held.Error()
	d.runAt, d.waitingOn = a.ended, jobs.WaitingOnCapacity
	closed, isShut := errors.AsType[*shut](a.held)
	switch {
	case isShut:
		d.runAt, d.waitingOn = u.orSooner(ceil(a.ended.Add(closed.wait)), d), closed.waitingOn()
	case errors.Is(a.held, errNoSuch), errors.Is(a.held, errWithheld):
		d.runAt = a.ended.Add(elsewhereDelay)
	case errors.Is(a.held, errRefused):
		d.message = w.Refused.Message
		d.fail(w.Refused.Code, w.Refused.Message)
	case errors.Is(a.held, errTooLate):
		d.fail(jobs.CodeExpired, d.message)
		d.stopAt = w.StopAt
	}
}

// afterFailure applies the policy of the failure's class.
func (u *run) afterFailure(d *decision, w jobs.Work, a attempt) {
	e, isTry := a.failure, a.isTry(w)
	if isTry {
		d.tries = 1
	}
	d.message = safe(e.Message, maxMessage)
	last, policy := isTry && w.Tries+1 >= max(1, u.route.MaxAttempts), e.Policy()
	next, another := u.next(w)
	switch {
	case last, policy.Next == providers.Final, policy.Next == providers.Failover && !another:
		d.fail(string(e.Class), withDetail(d.message, e.Detail))
	case policy.Next == providers.Failover:
		u.failOver(d, w, a, next)
	default:
		u.retry(d, w, a)
	}
}

// retry tries again what may succeed at the same target later: at the next one at
// once, and after the last at the first again, later. A 429 is waited for as long as
// the route has patience.
func (u *run) retry(d *decision, w jobs.Work, a attempt) {
	e := a.failure
	hint := max(0, e.RetryAfter, a.settled.Opened.For)
	wait := hint + u.jitter(w, d.at.Add(hint), a)
	patient := false
	d.runAt, d.waitingOn = ceil(d.at.Add(wait)), jobs.WaitingOnRetry
	if hint > 0 {
		d.runAt = u.orSooner(d.runAt, d)
	}
	if e.Class == providers.RateLimited {
		d.waitingOn, patient = jobs.WaitingOnRateLimit, wait <= u.route.Patience
	}
	inTime := d.runAt.Before(w.StopAt)
	next, another := u.next(w)
	switch {
	case inTime && patient: // here again
	case another && d.at.Before(w.StopAt):
		u.failOver(d, w, a, next)
	case inTime:
		d.target = 0 // all were called, or passed over: from the first again
	default:
		d.fail(string(e.Class), safe(withDetail(d.message, e.Detail)+"; "+tooLate(e.RetryAfter, d.runAt), maxMessage))
		d.stopAt = w.StopAt
	}
}

// orSooner returns when work comes back whose lane lets nothing through before t: by
// the time that its route may be out of reach, if it has lesser targets to go to then.
// It is not called sooner by that: nothing is released to a lane that is shut.
func (u *run) orSooner(t time.Time, d *decision) time.Time {
	if len(u.route.Degraded) == 0 || d.degraded {
		return t
	}
	if sooner := ceil(d.at.Add(max(u.route.Patience, leastSooner))); sooner.Before(t) {
		return sooner
	}
	return t
}

// failOver sends the execution to another target at once: in the same run, or, when
// that target lets nothing through now, released anew, after a pause if one fits in.
func (u *run) failOver(d *decision, w jobs.Work, a attempt, target int) {
	d.target, d.runAt, d.waitingOn, d.failedOver = target, d.at, jobs.WaitingOnCapacity, true
	if pause := u.jitter(w, d.at, a); a.failure.Unsupported == nil && d.at.Add(pause).Before(w.StopAt) {
		d.pause = pause
	}
}

// jitter is full jitter that grows with the tries used up. It comes on top of the
// provider's hint, in full, if there is one. A failure without one that uses no try
// says "not now": then it grows with the releases before this one, most of which
// waited as well, but stays below what is left of the time from then on.
func (r *Runner) jitter(w jobs.Work, from time.Time, a attempt) time.Duration {
	retry, n := r.cfg.Retry, w.Tries
	if !a.isTry(w) && a.failure.RetryAfter <= 0 {
		n = int(min(w.Task.Fence-1, math.MaxInt32))
		retry.Cap = min(retry.Cap, max(retry.Base, w.StopAt.Sub(from)/2))
	}
	return retry.Full(max(n, w.Tries))
}

// ceil rounds up to the millisecond, which is what the store keeps, so that
// nobody comes early.
func ceil(t time.Time) time.Time {
	if whole := t.Truncate(time.Millisecond); whole.Before(t) {
		return whole.Add(time.Millisecond)
	}
	return t
}

func tooLate(hint time.Duration, runAt time.Time) string {
	why := "the next try"
	if hint > 0 {
		why = fmt.Sprintf("the provider asked to wait %v, so the next try", hint)
	}
	return fmt.Sprintf("%s would be at %s, after the deadline", why, runAt.Format(time.RFC3339))
}
