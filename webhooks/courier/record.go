package courier

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/jobs/backoff"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

const (
	// recordAtOnce bounds what is recorded in one transaction.
	recordAtOnce = 256
	// maxUnrecorded and maxUnrecordedBytes bound what waits to be: no attempt begins
	// while there is more.
	maxUnrecorded      = 4096
	maxUnrecordedBytes = 32 << 20
)

// outage spaces out tries while the store is away.
var outage = backoff.Policy{Base: 50 * time.Millisecond, Cap: 800 * time.Millisecond}

// recorder records attempts, many at a time: what ends while one batch is written goes
// with the next. It keeps on trying; one that cannot be recorded holds no other up, and
// its delivery is not sent again as long as this process lives.
type recorder struct {
	c *Courier

	mu      sync.Mutex
	waiting []unrecorded
	bytes   int
	poke    chan struct{}
}

// unrecorded is an attempt that has to be recorded, and whose turn is told of it.
type unrecorded struct {
	delivery.Record

	of *turn
}

func newRecorder(c *Courier) *recorder { return &recorder{c: c, poke: make(chan struct{}, 1)} }

// add gives an attempt to be recorded.
func (r *recorder) add(u unrecorded) {
	r.mu.Lock()
	r.waiting = append(r.waiting, u)
	r.bytes += len(u.Answer)
	r.mu.Unlock()
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// len returns how many wait.
func (r *recorder) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

// full reports whether so much waits that no attempt should begin.
func (r *recorder) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) >= maxUnrecorded || r.bytes >= maxUnrecordedBytes
}

// run records until ctx ends.
func (r *recorder) run(ctx context.Context) {
	size, failures := recordAtOnce, 0
	for ctx.Err() == nil {
		batch := r.take(size)
		if len(batch) == 0 {
			select {
			case <-ctx.Done():
			case <-r.poke:
			}
			continue
		}
		err := r.record(ctx, batch)
		if r.c.reached(err); err == nil {
			r.told(batch)
			size, failures = min(recordAtOnce, 2*size), 0
			continue
		}
		r.c.report(ctx, err)
		r.back(batch, away(err))
		size = max(1, len(batch)/2)
		if failures++; away(err) || len(batch) == 1 {
			_ = backoff.Wait(ctx, outage.Equal(failures)) // ends early only with ctx, which the loop looks at
		}
	}
}

func (r *recorder) take(size int) []unrecorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(size, len(r.waiting))
	batch := r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	if len(r.waiting) == 0 {
		r.waiting = nil // or what was recorded would be kept
	}
	for _, u := range batch {
		r.bytes -= len(u.Answer)
	}
	return batch
}

// back puts a batch back where it was. One that failed alone goes behind the others, and
// without its answer if the store is there: nothing else in it is what a stranger wrote.
func (r *recorder) back(batch []unrecorded, away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	alone := len(batch) == 1
	if alone && !away {
		batch[0].Answer = nil
	}
	for _, u := range batch {
		r.bytes += len(u.Answer)
	}
	if alone {
		r.waiting = append(r.waiting, batch[0])
		return
	}
	r.waiting = append(batch, r.waiting...)
}

func (r *recorder) record(ctx context.Context, batch []unrecorded) error {
	records := make([]delivery.Record, len(batch))
	for i, u := range batch {
		records[i] = u.Record
	}
	_, err := within(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.c.cfg.Store.Record(ctx, records)
	})
	if err != nil {
		return fmt.Errorf("record %d attempts: %w", len(records), err)
	}
	return nil
}

// told tells the turns what has been recorded.
func (r *recorder) told(batch []unrecorded) {
	for _, u := range batch {
		r := recorded{delivery: u.Delivery}
		if u.Status == delivery.StatusPending {
			r.due = u.DueAt
		}
		u.of.mail.post(func(to *letters) { to.recorded = append(to.recorded, r) })
	}
}
