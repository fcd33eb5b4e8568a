package keeper

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
)

// Observer is told what a keeper does, for logs and metrics. Any field may be nil. The
// functions are called from several goroutines and must not block.
type Observer struct {
	// Read is told how many lines of an input were kept.
	Read func(lines int)
	// LinesEnded is told how many lines have ended so.
	LinesEnded func(as batches.State, lines int)
	// Ended is told of a batch that has.
	Ended func(b batches.Batch)
	// Held is told how many batches this process holds: again and again.
	Held func(n int)
	// Panicked is told of a panic in the work on a batch, which goes on after a while: of
	// its value's type alone, for the value may hold what a line does.
	Panicked func(batch uuid.UUID, kind string, stack []byte)
	// Error is told of what could not be done and is tried again: at once, then at most
	// once a minute until it works again. It carries nothing of a line.
	Error func(err error)
}

func (o Observer) read(lines int) {
	if o.Read != nil {
		o.Read(lines)
	}
}

// counted tells of the lines that ended from one look to the next.
func (o Observer) counted(before, now batches.Counts) {
	if o.LinesEnded == nil {
		return
	}
	for _, c := range []struct {
		as            batches.State
		before, after int
	}{
		{batches.LineSucceeded, before.Succeeded, now.Succeeded},
		{batches.LineFailed, before.Failed, now.Failed},
		{batches.LineCancelled, before.Cancelled, now.Cancelled},
		{batches.LineExpired, before.Expired, now.Expired},
	} {
		if c.after > c.before {
			o.LinesEnded(c.as, c.after-c.before)
		}
	}
}

func (o Observer) ended(b batches.Batch) {
	if o.Ended != nil {
		o.Ended(b)
	}
}

func (o Observer) held(n int) {
	if o.Held != nil {
		o.Held(n)
	}
}

func (o Observer) panicked(batch uuid.UUID, value any, stack []byte) {
	if o.Panicked != nil {
		o.Panicked(batch, fmt.Sprintf("%T", value), stack)
	}
}

// reportEvery is how often what keeps failing is told.
const reportEvery = time.Minute

// troubles are those that were told of.
type troubles struct {
	mu   sync.Mutex
	told time.Time
}

// report tells of an error, if it is one, unless one was told of a short while ago or ctx has ended.
func (k *Keeper) report(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || k.cfg.Observer.Error == nil {
		return
	}
	k.troubles.mu.Lock()
	soon := time.Since(k.troubles.told) < reportEvery
	if !soon {
		k.troubles.told = time.Now()
	}
	k.troubles.mu.Unlock()
	if !soon {
		k.cfg.Observer.Error(err)
	}
}
