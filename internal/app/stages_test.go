package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder notes in which order parts stopped.
type recorder struct {
	mu      sync.Mutex
	stopped []string
}

func (r *recorder) part(name string, takes time.Duration) part {
	return part{name: name, run: func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(takes)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stopped = append(r.stopped, name)
		return nil
	}}
}

func TestStagesStopInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := runStages(ctx,
			[]part{r.part("accept", time.Minute)}, []part{r.part("release", time.Second)}, []part{r.part("run", 0)})
		if err != nil || !slices.Equal(r.stopped, []string{"accept", "release", "run"}) {
			t.Errorf("got %v, %v", r.stopped, err)
		}
	})
}

func TestAFailingPartStopsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		boom := errors.New("boom")
		err := runStages(t.Context(), []part{r.part("accept", 0)},
			[]part{{name: "bad", run: func(context.Context) error { return boom }}})
		if !errors.Is(err, boom) || !slices.Equal(r.stopped, []string{"accept"}) {
			t.Errorf("got %v, %v", r.stopped, err)
		}
		err = runStages(t.Context(), []part{{name: "quitter", run: func(context.Context) error { return nil }}})
		if err == nil {
			t.Error("a part that stops by itself went unnoticed")
		}
	})
}
