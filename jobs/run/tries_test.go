package run_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

// TestInvariant5WhatFailsWithItsLaneIsNoTry: unless it says something of the request,
// or of an answer that had begun.
func TestInvariant5WhatFailsWithItsLaneIsNoTry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failure providers.Error
		up      bool
		fence   int64
		tries   int
	}{
		"server error":           {failure: providers.Error{Class: providers.ServerError}, tries: 0},
		"overloaded":             {failure: providers.Error{Class: providers.Overloaded}, tries: 0},
		"connection":             {failure: providers.Error{Class: providers.Connection}, tries: 0},
		"no connection in time":  {failure: providers.Error{Class: providers.TimeoutConnect}, tries: 0},
		"no first token in time": {failure: providers.Error{Class: providers.TimeoutFirstToken}, tries: 0},
		"the 200th run":          {failure: providers.Error{Class: providers.ServerError}, fence: 200, tries: 0},
		"the 201st run":          {failure: providers.Error{Class: providers.ServerError}, fence: 201, tries: 1},
		"the lane is up":         {failure: providers.Error{Class: providers.ServerError}, up: true, tries: 1},
		"a token had come":       {failure: providers.Error{Class: providers.ServerError, TimeToFirstToken: 1}, tries: 1},
		"some text had come":     {failure: providers.Error{Class: providers.Truncated, Partial: "half an ans"}, tries: 1},
		"an answer of no use":    {failure: providers.Error{Class: providers.InvalidOutput}, tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &lanes{caused: lane.Settled{Down: !c.up}}
				g := newRig(t, l.configure)
				g.work.Task.Fence, g.call = max(c.fence, 1), failing(c.failure)
				g.take()
				if r := g.rescheduling(); r.Tries != c.tries || r.WaitingOn != jobs.WaitingOnRetry {
					t.Errorf("given back %+v, want %d tries used", r, c.tries)
				}
			})
		})
	}
}

// TestInvariant5AnOutageEndsNoJob that has used all its tries but one, however it is
// found out: by a probe, or by the call that opens the breaker. It waits until the
// lane may let another through.
func TestInvariant5AnOutageEndsNoJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{caused: lane.Settled{Down: true, Opened: lane.Opening{Number: 1, For: time.Minute}}}
		g := newRig(t, l.configure)
		g.work.Tries, g.call = 4, failing(providers.Error{Class: providers.ServerError})
		g.take()
		if r := g.rescheduling(); r.Tries != 0 || r.RunAt.Before(time.Now().Add(time.Minute)) {
			t.Errorf("given back %+v, want it for free, and after the lane opens to others", r)
		}
	})
}

// TestAnOutageIsWaitedOutToTheEnd: as long as the lane may let a call through in time,
// one is made.
func TestAnOutageIsWaitedOutToTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{caused: lane.Settled{Down: true, Opened: lane.Opening{Number: 3, For: 80 * time.Second}}}
		g := newRig(t, l.configure)
		g.work.Task.Fence, g.work.StopAt = 100, time.Now().Add(100*time.Second)
		g.call = failing(providers.Error{Class: providers.ServerError})
		for range 100 {
			g.note(func() { g.given = nil })
			g.take()
			if r := g.rescheduling(); !r.RunAt.Before(g.work.StopAt) {
				t.Fatalf("given back %+v, want it before %v", r, g.work.StopAt)
			}
		}
	})
}
