package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// How long until a killed worker's jobs run elsewhere, at most, at the default
// pace:
//
//	 1 s  the last beat is seen at the next look (Pace.Beat)
//	 6 s  it does not move (Pace.Dead)
//	 1 s  the look at which that is noticed
//	 1 s  the dispatcher's poll, if the signal is lost
//	 5 s  the dispatcher's lease runs out and is asked for again, if the same
//	      death took the dispatcher with it; this passes beside the above
//	----
//	 9 s  and what the queue needs to hand a task over. The promise is 15 s.
//
// watcher declares workers dead whose beat stands still by its own monotonic
// clock. There is one in every process, so that a death is noticed whoever
// dies; the store lets only one of them reclaim a worker.
type watcher struct {
	c *Controller
	// seen holds each known worker's beat, and when a look that showed it ended
	// for the first time.
	seen map[uuid.UUID]sighting
	// last is when the last good look ended.
	last time.Time
}

type sighting struct {
	beat  int64
	since time.Time
}

func newWatcher(c *Controller) *watcher { return &watcher{c: c, seen: make(map[uuid.UUID]sighting)} }

func (w *watcher) step(ctx context.Context) error {
	begun := time.Now()
	workers, err := w.look(ctx)
	if err != nil {
		clear(w.seen)
		return fmt.Errorf("list workers: %w", err)
	}
	ended := time.Now()
	// A process that was stopped, or lost the store, knows nothing about what
	// others did meanwhile; and when the store was away from all, nobody could
	// beat.
	if gap := w.c.cfg.Pace.Gap(); begun.Sub(w.last) > gap || ended.Sub(begun) > gap {
		clear(w.seen)
	}
	w.last = ended
	for _, dead := range w.still(workers, begun, ended) {
		if err := w.reclaim(ctx, dead); err != nil {
			return err
		}
	}
	return nil
}

func (w *watcher) look(ctx context.Context) (workers []jobs.Worker, err error) {
	err = within(ctx, w.c.cfg.Pace.Gap(), func(ctx context.Context) error {
		workers, err = w.c.cfg.Store.Workers(ctx)
		return err
	})
	return workers, err
}

// still notes what a look showed and returns the workers whose beat has stood
// still for so long that they are dead. A look shows a state between its begin and its end, so
// the time is counted from the end of the first to the begin of the last.
func (w *watcher) still(workers []jobs.Worker, begun, ended time.Time) []jobs.Worker {
	seen := make(map[uuid.UUID]sighting, len(workers))
	var dead []jobs.Worker
	for _, worker := range workers {
		s, ok := w.seen[worker.ID]
		if !ok || s.beat != worker.Beat {
			s = sighting{beat: worker.Beat, since: ended}
		} else if begun.Sub(s.since) >= w.c.cfg.Pace.Dead {
			dead = append(dead, worker)
		}
		seen[worker.ID] = s
	}
	w.seen = seen
	return dead
}

func (w *watcher) reclaim(ctx context.Context, dead jobs.Worker) error {
	what, err := w.c.cfg.Store.Reclaim(ctx, dead, time.Now().UTC())
	if err != nil {
		return fmt.Errorf("reclaim worker %s: %w", dead.ID, err)
	}
	delete(w.seen, dead.ID)
	if what.Requeued > 0 || len(what.Ended) > 0 {
		w.c.cfg.Observer.reclaimed(dead, what)
		w.c.ended(ctx, what.Ended)
		w.c.ready(ctx)
	}
	return nil
}

// ended tells those who wait for jobs that they ended.
func (c *Controller) ended(ctx context.Context, ids []uuid.UUID) {
	for some := range slices.Chunk(ids, signalIDs) {
		c.signal(ctx, jobs.Signal{Kind: jobs.SignalEnded, Jobs: some})
	}
}
