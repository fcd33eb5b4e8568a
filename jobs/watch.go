package jobs

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// watchEvery is how late a change is noticed that no signal told of.
	watchEvery = 2 * time.Second
	// maxStandings bounds how many jobs one query asks about.
	maxStandings = 1000
)

// Watch wakes whoever follows one job. Stop must be called.
type Watch struct {
	// C gets a value when the job may have changed. Several changes may be one.
	C <-chan struct{}

	c    chan struct{}
	job  uuid.UUID
	from *watcher
}

// Saw says how its holder knows the job to stand: it is woken for what is
// different from that.
func (w *Watch) Saw(j Job) {
	w.from.mu.Lock()
	defer w.from.mu.Unlock()
	if of := w.from.jobs[w.job]; of != nil {
		of.seen = Standing{Status: j.Status, WaitingOn: j.WaitingOn}
		if j.WaitingOn == WaitingOnFairness {
			of.seen.WaitingOn = WaitingOnCapacity
		}
	}
}

// Stop ends the watch.
func (w *Watch) Stop() { w.from.leave(w) }

func (w *Watch) wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// watcher wakes those who watch jobs: at once when a signal says that a job has
// ended, else when one look at all watched jobs sees a change. However many
// watch, the store is asked once.
type watcher struct {
	store ReadStore

	mu   sync.Mutex
	jobs map[uuid.UUID]*watched
}

// watched is a job as it was last seen, and who watches it.
type watched struct {
	seen    Standing
	watches map[*Watch]struct{}
}

func newWatcher(store ReadStore) *watcher {
	return &watcher{store: store, jobs: map[uuid.UUID]*watched{}}
}

func (w *watcher) join(job uuid.UUID) *Watch {
	c := make(chan struct{}, 1)
	watch := &Watch{C: c, c: c, job: job, from: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.jobs[job] == nil {
		w.jobs[job] = &watched{watches: map[*Watch]struct{}{}}
	}
	w.jobs[job].watches[watch] = struct{}{}
	return watch
}

func (w *watcher) leave(watch *Watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of := w.jobs[watch.job]
	if of == nil {
		return
	}
	delete(of.watches, watch)
	if len(of.watches) == 0 {
		delete(w.jobs, watch.job)
	}
}

// hear wakes those who watch the jobs of s, or all when s names none: then
// signals may have been lost.
func (w *watcher) hear(s Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(s.Jobs) == 0 {
		for _, of := range w.jobs {
			of.wake()
		}
		return
	}
	for _, job := range s.Jobs {
		if of := w.jobs[job]; of != nil {
			of.wake()
		}
	}
}

func (w *watched) wake() {
	for watch := range w.watches {
		watch.wake()
	}
}

// run looks at all watched jobs every two seconds until ctx ends.
func (w *watcher) run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look(ctx)
		}
	}
}

// look wakes those whose job is not as it was last seen. If the store cannot be
// asked, all is as it was until the next look.
func (w *watcher) look(ctx context.Context) {
	w.mu.Lock()
	ids := slices.Collect(maps.Keys(w.jobs))
	w.mu.Unlock()
	for some := range slices.Chunk(ids, maxStandings) {
		now, err := w.store.Standings(ctx, some)
		if err != nil {
			return
		}
		w.compare(some, now)
	}
}

// compare wakes those whose job is not as it was last seen. A job that is not
// there any more counts as changed.
func (w *watcher) compare(ids []uuid.UUID, now map[uuid.UUID]Standing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		of, standing := w.jobs[id], now[id]
		if of == nil || of.seen == standing {
			continue
		}
		of.seen = standing
		of.wake()
	}
}
