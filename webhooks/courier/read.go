package courier

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// What is read and kept in memory of what is due.
const (
	// mostRead bounds the new deliveries of one look at an endpoint. The first looks for
	// fewer: leastRead, or as many as may have results. Later ones go by how large those
	// were.
	leastRead, mostRead = 64, 200
	// maxTurnBytes and maxBytes bound the bodies of one endpoint, and of all.
	maxTurnBytes, maxBytes = 4 << 20, 64 << 20
	// itemBytes is what a delivery takes beside its body.
	itemBytes = 1 << 10
	// resultsAtOnce is how many jobs are read at a time with their results, which may be
	// much larger than what goes into a body.
	resultsAtOnce = 4
	// readsAtOnce bounds the endpoints that are looked at at a time.
	readsAtOnce = 8
)

// item is a delivery that is due, with the body that is sent.
type item struct {
	delivery.Due

	// n is the number of its next attempt, and send the body of it.
	n    int
	send []byte
	// read is when it was read.
	read time.Time
}

func (it *item) cost() int64 { return int64(len(it.send)) + itemBytes }

// canThin reports whether its body can be made smaller.
func (it *item) canThin() bool {
	_, ok, err := delivery.Thin(it.send)
	return ok && err == nil
}

// page is what was read of an endpoint.
type page struct {
	items []*item
	// unsendable have no body, and never will.
	unsendable []delivery.Due
	// full says that there may be more.
	full bool
	// cost is what was set aside for it.
	cost int64
	// of is the generation of the turn that asked.
	of  int
	err error
}

// reader reads what is due.
type reader struct {
	store   delivery.CourierStore
	compose composer
	turns   chan struct{}
}

// read returns up to limit of what is due to an endpoint.
func (r *reader) read(ctx context.Context, e delivery.Endpoint, limit int) page {
	select {
	case r.turns <- struct{}{}:
	case <-ctx.Done():
		return page{err: ctx.Err()}
	}
	defer func() { <-r.turns }()
	due, err := within(ctx, func(ctx context.Context) ([]delivery.Due, error) {
		return r.store.Due(ctx, e.ID, stamp(time.Now()), limit)
	})
	if err != nil {
		return page{err: fmt.Errorf("read what is due to endpoint %s: %w", e.ID, err)}
	}
	p := page{full: len(due) >= limit, items: make([]*item, 0, len(due))}
	if p.err = r.bodies(ctx, e, due); p.err != nil {
		return p
	}
	for _, d := range due {
		if d.Body == nil {
			p.unsendable = append(p.unsendable, d)
			continue
		}
		p.items = append(p.items, &item{Due: d, n: d.Attempts + 1, send: sent(d)})
	}
	return p
}

// sent returns what is sent of a body.
func sent(d delivery.Due) []byte {
	if d.Thin {
		if thin, ok, err := delivery.Thin(d.Body); ok && err == nil {
			return thin
		}
	}
	return d.Body
}

// bodies gives those a body that have none, and keeps it. One whose body cannot be
// written or kept gets none, and no other suffers from it.
func (r *reader) bodies(ctx context.Context, e delivery.Endpoint, due []delivery.Due) error {
	var fresh []*delivery.Due
	for i := range due {
		if due[i].Body == nil && !due[i].Lost {
			fresh = append(fresh, &due[i])
		}
	}
	size := max(1, len(fresh))
	if e.IncludeResult {
		size = resultsAtOnce
	}
	for some := range slices.Chunk(fresh, size) {
		failed, err := divide(some, func(some []*delivery.Due) error { return r.write(ctx, e, some) })
		if err != nil {
			return fmt.Errorf("write bodies for endpoint %s: %w", e.ID, err)
		}
		for _, d := range failed {
			d.Body = nil
		}
	}
	return nil
}

// write writes and keeps bodies. What was kept before is what is sent.
func (r *reader) write(ctx context.Context, e delivery.Endpoint, fresh []*delivery.Due) error {
	ended, err := r.jobs(ctx, e, fresh)
	if err != nil {
		return err
	}
	bodies := make([]delivery.Body, 0, len(fresh))
	for _, d := range fresh {
		if d.Body, err = r.body(e, d, ended); err != nil {
			return err
		}
		if d.Body != nil {
			bodies = append(bodies, delivery.Body{Delivery: d.ID, Endpoint: e.ID, Tenant: d.Tenant, Body: d.Body})
		}
	}
	if len(bodies) == 0 {
		return nil
	}
	before, err := within(ctx, func(ctx context.Context) (map[uuid.UUID][]byte, error) {
		return r.store.KeepBodies(ctx, bodies)
	})
	if err != nil {
		return fmt.Errorf("keep %d bodies: %w", len(bodies), err)
	}
	for _, d := range fresh {
		if kept, ok := before[d.ID]; ok {
			d.Body = kept
		}
	}
	return nil
}

func (r *reader) jobs(ctx context.Context, e delivery.Endpoint, of []*delivery.Due) (map[uuid.UUID]jobs.Job, error) {
	var ids []uuid.UUID
	for _, d := range of {
		if d.Job != uuid.Nil {
			ids = append(ids, d.Job)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	ended, err := within(ctx, func(ctx context.Context) (map[uuid.UUID]jobs.Job, error) {
		return r.store.EndedJobs(ctx, ids, e.IncludeResult)
	})
	if err != nil {
		return nil, fmt.Errorf("read %d jobs: %w", len(ids), err)
	}
	return ended, nil
}

// body writes one body: nil if its job is not there any more, which means that the
// delivery is not, either.
func (r *reader) body(e delivery.Endpoint, d *delivery.Due, ended map[uuid.UUID]jobs.Job) ([]byte, error) {
	if d.Job == uuid.Nil {
		return r.compose.told(*d)
	}
	j, ok := ended[d.Job]
	if !ok || j.Tenant != d.Tenant {
		return nil, nil
	}
	return r.compose.ended(*d, j, e.IncludeResult)
}

// budget bounds the bytes of the bodies in memory. They are shared as slots are: what some
// tenants' endpoints do not take keeps nothing from others.
type budget struct {
	mu      sync.Mutex
	left    int64
	tenants map[string]int64
}

func newBudget() *budget { return &budget{left: maxBytes, tenants: make(map[string]int64)} }

// take takes n of what is left for a tenant, if the tenant has no more then than there is
// left for others.
func (b *budget) take(tenant string, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tenants[tenant]+n > b.left-n {
		return false
	}
	b.left -= n
	b.tenants[tenant] += n
	return true
}

// give gives n back; a negative n is taken, whether it is left or not.
func (b *budget) give(tenant string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
	if b.tenants[tenant] -= n; b.tenants[tenant] == 0 {
		delete(b.tenants, tenant)
	}
}
