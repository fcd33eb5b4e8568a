package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

const (
	// defaultMaxAttempts is the number of tries of a route that is not known.
	defaultMaxAttempts = 5
	// maxMessage bounds a job's error message, in bytes: ours and the provider's.
	maxMessage = 4 << 10
	// elsewhereDelay is how long work that this process cannot do, for want of the
	// provider or of a secret, waits before it is released again, hopefully to
	// another.
	elsewhereDelay = 10 * time.Second
)

// decision is what becomes of an execution after a call: it ends with status,
// or, when that is empty, it runs again. A conditional end has both.
type decision struct {
	task jobs.Task
	call jobs.Call
	// gap is the call's longest silence.
	gap time.Duration
	// tries is how many the run used up.
	tries int
	// message says in our own words why the call failed.
	message string

	status   jobs.Status
	result   json.RawMessage
	jobError *jobs.JobError
	at       time.Time
	// stopAt, if set, makes the end conditional on no later deadline, and degraded on
	// no job that would not degrade.
	stopAt   time.Time
	degraded bool

	runAt     time.Time
	waitingOn jobs.WaitingOn
	target    int
	// failedOver says that another target is to be called at once.
	failedOver bool
	// pause is how long later that is when it is not the same run.
	pause time.Duration
}

func (d *decision) outcome() jobs.Outcome {
	return jobs.Outcome{
		Task: d.task, Call: d.call, Status: d.status, Result: d.result, Error: d.jobError,
		Tries: d.tries, At: d.at, StopAt: d.stopAt, Degraded: d.degraded,
	}
}

// rescheduling begins with the first target again after a lesser one.
func (d *decision) rescheduling() jobs.Rescheduling {
	if d.degraded {
		d.target = 0
	}
	return jobs.Rescheduling{
		Task: d.task, Call: d.call, RunAt: d.runAt, WaitingOn: d.waitingOn, Tries: d.tries, Target: d.target,
	}
}

// decide says what becomes of the execution.
func (u *run) decide(w jobs.Work, a attempt) decision {
	d := decision{task: w.Task, call: callOf(w, a), gap: a.gap, at: a.ended, target: w.Target, degraded: w.Degraded}
	if d.degraded { // it runs again at once if the outcome is not for all of its jobs
		d.runAt, d.waitingOn = a.ended, jobs.WaitingOnCapacity
	}
	switch {
	case a.held != nil:
		d.giveBack(w, a)
	case a.failure == nil:
		d.status, d.result = jobs.StatusSucceeded, a.response.Body
	default:
		u.afterFailure(&d, w, a)
	}
	return d
}

// giveBack returns an execution whose call we did not make or broke off
// ourselves. It costs no try, and if nobody waits for it the store says so.
func (d *decision) giveBack(w jobs.Work, a attempt) {
	d.message = a.held.Error()
	d.runAt, d.waitingOn = a.ended, jobs.WaitingOnCapacity
	closed, isShut := errors.AsType[*shut](a.held)
	switch {
	case isShut:
		d.runAt, d.waitingOn = ceil(a.ended.Add(closed.wait)), closed.waitingOn()
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

// afterFailure applies the policy of the failure's class. What may succeed at the
// same target later is tried at the next one at once, and after the last at the
// first again, later; a 429 is waited for as long as the route has patience.
func (u *run) afterFailure(d *decision, w jobs.Work, a attempt) {
	e := a.failure
	class, policy := e.Class, e.Policy()
	if policy.Try = a.isTry(w); policy.Try {
		d.tries = 1
	}
	d.message = safe(e.Message, maxMessage)
	full := withDetail(d.message, e.Detail)
	next, another := u.next(w)
	if pause := u.jitter(w, d.at, a); e.Unsupported == nil && d.at.Add(pause).Before(w.StopAt) {
		d.pause = pause
	}
	switch {
	case w.Tries+d.tries >= max(1, u.route.MaxAttempts) && policy.Try, policy.Next == providers.Final,
		policy.Next == providers.Failover && !another:
		d.fail(string(class), full)
		return
	case policy.Next == providers.Failover:
		d.failOver(next)
		return
	}
	d.waitingOn = jobs.WaitingOnRetry
	if class == providers.RateLimited {
		d.waitingOn = jobs.WaitingOnRateLimit
	}
	hint := max(0, e.RetryAfter, a.settled.Opened.For)
	wait := hint + u.jitter(w, d.at.Add(hint), a)
	d.runAt = ceil(d.at.Add(wait))
	inTime, stays := d.runAt.Before(w.StopAt), class == providers.RateLimited && wait <= u.route.Patience
	switch {
	case another && d.at.Before(w.StopAt) && (!stays || !inTime):
		d.failOver(next)
	case !inTime:
		d.fail(string(class), safe(full+"; "+tooLate(e.RetryAfter, d.runAt), maxMessage))
		d.stopAt = w.StopAt
	case !stays:
		d.target = 0 // all were called, or passed over: from the first again
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

// fail ends the execution.
func (d *decision) fail(code, message string) {
	d.status, d.jobError = jobs.StatusFailed, &jobs.JobError{Code: code, Message: message}
}

// failOver sends the execution to another target at once: in the same run, or
// released anew when that target lets nothing through now.
func (d *decision) failOver(target int) {
	d.target, d.runAt, d.waitingOn, d.failedOver = target, d.at, jobs.WaitingOnCapacity, true
}

// callOf returns the call's row, closed.
func callOf(w jobs.Work, a attempt) jobs.Call {
	c := jobs.Call{
		ID: w.Call, Execution: w.Task.Execution, Fence: w.Task.Fence, Tenant: w.Tenant, RequestHash: w.RequestHash,
		Provider: w.Provider, Model: w.Model, Latency: a.latency, CreatedAt: a.begun,
	}
	if e := a.failure; e != nil {
		c.Status, c.ErrorClass, c.HTTPStatus = statusOf(e.Class), e.Class, e.HTTPStatus
		c.TimeToFirstToken, c.Usage, c.ProviderRequestID = e.TimeToFirstToken, e.Usage, e.RequestID
		c.Partial = safe(e.Partial, jobs.MaxPartial)
	} else if a.held == nil {
		c.Status, c.HTTPStatus = jobs.CallSuccess, a.response.HTTPStatus
		c.TimeToFirstToken, c.Usage = a.response.TimeToFirstToken, a.response.Usage
		c.ProviderRequestID, c.ServedModel = a.response.RequestID, safe(a.response.Model, jobs.MaxServedModel)
	}
	if a.held != nil {
		c.Status, c.ErrorClass = jobs.CallCancelled, providers.Cancelled
	}
	return c
}

func statusOf(c providers.Class) jobs.CallStatus {
	switch {
	case c.IsTimeout():
		return jobs.CallTimeout
	case c == providers.Cancelled:
		return jobs.CallCancelled
	default:
		return jobs.CallFailure
	}
}

// withDetail returns our message with the provider's own explanation.
func withDetail(message, detail string) string {
	if detail == "" {
		return message
	}
	return safe(message+": "+detail, maxMessage)
}

// safe returns s as every store can keep it: valid UTF-8 without NUL, and at
// most so many bytes.
func safe(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
