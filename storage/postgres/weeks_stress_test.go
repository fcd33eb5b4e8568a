package postgres

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Weeks come and go while everything else goes on, and no request fails for it.
func TestWeeksComeAndGoUnderLoad(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	c := &crowd{t: t, s: s, worker: jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "crowd"}}
	c.must(c.beat())
	var over atomic.Bool
	var group sync.WaitGroup
	for range 2 {
		for _, act := range []func() error{c.submit, c.submit, c.run, c.run, c.cancel} {
			group.Go(func() {
				for !over.Load() {
					c.must(act())
				}
			})
		}
	}
	past := time.Now().Add(-month - 20*week)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	eventually := func(what string, do func() error) {
		tries := 1
		for err := do(); err != nil; err = do() {
			if tries++; ctx.Err() != nil {
				t.Errorf("%s: got error %v at each of %d tries", what, err, tries)
				return
			}
		}
	}
	for range 3 {
		eventually("make weeks", func() error { return s.Maintain(ctx, past) })
		eventually("drop weeks", func() error {
			_, err := s.Retain(ctx, jobs.Retention{Default: month}, time.Now())
			return err
		})
	}
	over.Store(true)
	group.Wait()
	if n := weeklies(t, s, past); n != 0 {
		t.Errorf("%d tables are left of a week past its retention, want none", n)
	}
	c.drain()
	c.check()
}
