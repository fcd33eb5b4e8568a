package run_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// Work whose request cannot be read ends with the reason: no call is made, no
// try is used, and nothing is given back to be refused again.
func TestRefusedWorkEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		why := jobs.JobError{Code: jobs.CodeErased, Message: "it was erased"}
		g.note(func() { g.work.Refused, g.work.Body = &why, nil })
		g.take()
		o := g.outcome()
		if o.Status != jobs.StatusFailed || o.Error == nil || *o.Error != why || o.Tries != 0 {
			t.Errorf("outcome %+v, want failed with %+v and no try used", o, why)
		}
		if o.Call.Status != jobs.CallCancelled {
			t.Errorf("call %+v, want one that was not made", o.Call)
		}
		if n := len(under(g, &g.requested)) + len(under(g, &g.given)); n != 0 {
			t.Errorf("%d calls and reschedulings, want none", n)
		}
	})
}

// Work whose request this worker cannot read goes to another: no call is made, no
// try is used, and nothing ends.
func TestWithheldWorkIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.note(func() { g.work.Withheld, g.work.Body = "secret 12ab is not here", nil })
		g.take()
		r := g.rescheduling()
		if r.Tries != 0 || !r.RunAt.After(time.Now()) || r.WaitingOn != jobs.WaitingOnCapacity {
			t.Errorf("rescheduling %+v, want it later, with no try used", r)
		}
		if n := len(under(g, &g.requested)); n != 0 {
			t.Errorf("%d calls, want none", n)
		}
		if a := g.attempt(); !strings.Contains(a.Message, "secret 12ab") {
			t.Errorf("the observer was told %q, want which secret is missing", a.Message)
		}
	})
}
