// Package keeper runs batches: it reads their input, makes their lines jobs, a window of
// them at a time, notes what became of those, and ends them. A process holds a batch by a
// lease of the store, so that one at a time works on it; what a process leaves in the
// middle when it dies the next one goes on with.
package keeper

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// Jobs is what a keeper needs of a [jobs.Service].
type Jobs interface {
	Check(n jobs.NewJob) (hash [32]byte, err error)
	Submit(ctx context.Context, n jobs.NewJob) (jobs.Submitted, error)
	Cancel(ctx context.Context, tenant string, id uuid.UUID) (jobs.Job, error)
	List(ctx context.Context, q jobs.JobQuery) (page []jobs.Job, more bool, err error)
}

// Standings is what a keeper needs of a [jobs.ReadStore].
type Standings interface {
	Standings(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]jobs.Standing, error)
}

// Store is what a keeper needs of a [batches.Store].
type Store interface {
	batches.KeeperStore
	Batch(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
}

// Config is what a [Keeper] needs. All but Poll and Observer is required.
type Config struct {
	Store     Store
	Jobs      Jobs
	Standings Standings
	// Open returns the input of a batch, and how many bytes it has; ctx is that of all
	// reads. An *[jobs.Error] that is not of code [jobs.CodeStoreUnavailable], from here or
	// from a read, says that the input cannot be read any more.
	Open func(ctx context.Context, b batches.Batch) (input io.ReaderAt, size int64, err error)
	// Holder names this process as holder of leases.
	Holder uuid.UUID
	// Poll is how late a signal that was lost may be made up for; default 1 s.
	Poll     time.Duration
	Observer Observer
}

// Bounds of what a process works on at a time.
const (
	// maxHeld bounds the batches that are held, leaseAtOnce those that are taken at a time.
	maxHeld     = 1024
	leaseAtOnce = 64
	// maxIngests bounds the inputs that are read in turns, each of which may take 10 MB to
	// remember the custom ids. Their lines are checked on half of the processors.
	maxIngests = 8
	// maxFeeds is how many batches have bodies of lines in memory, each up to feedBytes;
	// maxInputs how many keep a chunk of their input.
	maxFeeds  = 4
	maxInputs = 64
	// maxRequests is how many jobs are submitted, or cancelled, at once.
	maxRequests = 64
)

// Keeper runs batches. Make one with [New].
type Keeper struct {
	cfg Config

	wake                                 chan struct{}
	ingests, pages, feeds, inputs, calls semaphore
	live                                 living
	troubles                             troubles
	running                              sync.WaitGroup

	mu    sync.Mutex
	turns map[uuid.UUID]*turn
	// left are batches that are to be given up.
	left []uuid.UUID
}

// New returns a keeper, or an error that names the field at fault.
func New(cfg Config) (*Keeper, error) {
	switch {
	case cfg.Store == nil:
		return nil, errors.New("keeper: Store is missing")
	case cfg.Jobs == nil:
		return nil, errors.New("keeper: Jobs is missing")
	case cfg.Standings == nil:
		return nil, errors.New("keeper: Standings is missing")
	case cfg.Open == nil:
		return nil, errors.New("keeper: Open is missing")
	case cfg.Holder == uuid.Nil:
		return nil, errors.New("keeper: Holder is missing")
	case cfg.Poll < 0:
		return nil, errors.New("keeper: Poll cannot be negative")
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	return &Keeper{
		cfg: cfg, wake: make(chan struct{}, 1), turns: make(map[uuid.UUID]*turn),
		ingests: make(semaphore, maxIngests), pages: make(semaphore, max(1, runtime.GOMAXPROCS(0)/2)),
		feeds: make(semaphore, maxFeeds), inputs: make(semaphore, maxInputs), calls: make(semaphore, maxRequests),
	}, nil
}

// Changed says that batches were made or changed; no names: any of them may have been. It
// never blocks.
func (k *Keeper) Changed(ids ...uuid.UUID) {
	k.mu.Lock()
	unknown := len(ids) == 0
	for _, id := range ids {
		if t := k.turns[id]; t != nil {
			t.change()
		} else {
			unknown = true
		}
	}
	if len(ids) == 0 {
		for _, t := range k.turns {
			t.change()
		}
	}
	k.mu.Unlock()
	if unknown {
		poke(k.wake)
	}
}

// Ended says that jobs have; no names: any of them may have. It never blocks.
func (k *Keeper) Ended(ids ...uuid.UUID) {
	for _, id := range ids {
		if t := k.live.take(id); t != nil {
			poke(t.wake)
		}
	}
	if len(ids) > 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range k.turns {
		poke(t.wake)
	}
}

// Run runs batches until ctx ends. Then it begins nothing more, gives up what it holds and
// returns nil. What it leaves in the middle is gone on with by whoever holds it next.
func (k *Keeper) Run(ctx context.Context) error {
	work, stop := context.WithCancel(ctx)
	renewing := new(sync.WaitGroup)
	renewing.Go(func() { k.renewals(work) })
	k.leases(work)
	stop()
	k.running.Wait()
	renewing.Wait()
	k.release(context.WithoutCancel(ctx))
	return nil
}

// semaphore lets so many in at a time as it has room for, those first who came first.
type semaphore chan struct{}

// enter waits to be let in, or until ctx ends and then returns its error.
func (s semaphore) enter(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tryEnter reports whether it was let in.
func (s semaphore) tryEnter() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s semaphore) leave() { <-s }

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
