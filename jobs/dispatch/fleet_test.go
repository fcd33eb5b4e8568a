package dispatch_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/dispatch"
)

var errAway = errors.New("the store is away")

// fleet is a store, a queue and the workers behind it, in memory: just enough
// to dispatch to. A call to it takes no time.
type fleet struct {
	t  *testing.T
	mu sync.Mutex
	// ready holds what is not released, by route and priority, then tenant.
	ready map[jobs.ReadyQuery]map[string][]jobs.Candidate
	where map[uuid.UUID]jobs.Candidate
	// runAt holds what waits for a time and was not brought back.
	runAt    map[uuid.UUID]time.Time
	released map[uuid.UUID]running
	leases   map[string]lease
	// away makes every call of the store fail, or those of one holder to Lease.
	away       error
	awayFor    uuid.UUID
	queueAway  error
	queries    int
	unparks    int
	enqueues   int
	leaseTries int
	most       map[string]int
	log        []running
	flows      []jobs.Flow
	// givenUp is what was asked to give up, and giveUp says what became of it.
	givenUp []jobs.Unserved
	giveUp  func(jobs.Unserved) jobs.GivenUp
	// degradable are those that may be released to a lesser target.
	degradable map[uuid.UUID]bool
	// slow is how long it takes to count what is outstanding; passes, when that
	// was asked.
	slow   time.Duration
	passes []time.Time
	// onTask is called for each task that is enqueued.
	onTask func(jobs.Task)
}

type running struct {
	jobs.Candidate
	jobs.Release
	at time.Time
}

type lease struct {
	holder uuid.UUID
	until  time.Time
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	return &fleet{
		t: t, ready: make(map[jobs.ReadyQuery]map[string][]jobs.Candidate), runAt: make(map[uuid.UUID]time.Time),
		where:    make(map[uuid.UUID]jobs.Candidate),
		released: make(map[uuid.UUID]running), leases: make(map[string]lease), most: make(map[string]int),
		onTask: func(jobs.Task) {}, giveUp: func(jobs.Unserved) jobs.GivenUp { return jobs.GivenUp{} },
	}
}

// add makes n equal executions ready and returns their ids, oldest first.
func (f *fleet) add(n int, c jobs.Candidate) []uuid.UUID {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.Route == "" {
		c.Route = "sim/model"
	}
	if c.Cost == 0 {
		c.Cost = 100
	}
	var ids []uuid.UUID
	for range n {
		c.Execution = uuid.Must(uuid.NewV7())
		ids = append(ids, c.Execution)
		f.put(c)
	}
	return ids
}

func (f *fleet) put(c jobs.Candidate) {
	key := jobs.ReadyQuery{Route: c.Route, UseCase: c.UseCase, Priority: c.Priority}
	if f.ready[key] == nil {
		f.ready[key] = make(map[string][]jobs.Candidate)
	}
	f.ready[key][c.Tenant] = append(f.ready[key][c.Tenant], c)
	f.where[c.Execution] = c
}

func (f *fleet) query() error {
	f.queries++
	return f.away
}

func (f *fleet) Routes(context.Context) ([]jobs.Line, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := make(map[jobs.Line]bool)
	for key, tenants := range f.ready {
		if len(tenants) > 0 {
			names[jobs.Line{Route: key.Route, UseCase: key.UseCase}] = true
		}
	}
	for _, r := range f.released {
		names[jobs.Line{Route: r.Route, UseCase: r.UseCase}] = true
	}
	return slices.Collect(maps.Keys(names)), f.query()
}

func (f *fleet) Ready(_ context.Context, q jobs.ReadyQuery) ([]jobs.Candidate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.query(); err != nil {
		return nil, err
	}
	if q.Tenants < 1 || q.PerTenant < 1 {
		f.t.Errorf("Ready(%+v): want at least one tenant and one execution each", q)
	}
	var found []jobs.Candidate
	tenants := f.ready[jobs.ReadyQuery{Route: q.Route, UseCase: q.UseCase, Priority: q.Priority}]
	for _, name := range slices.Sorted(maps.Keys(tenants)) {
		if name <= q.AfterTenant || q.Tenants == 0 {
			continue
		}
		n := 0
		for _, c := range tenants[name] {
			if n == q.PerTenant {
				break
			}
			if _, waits := f.runAt[c.Execution]; !waits && (!q.Degradable || f.degradable[c.Execution]) {
				found = append(found, c)
				n++
			}
		}
		if n > 0 {
			q.Tenants--
		}
	}
	return found, nil
}

func (f *fleet) GiveUp(_ context.Context, u jobs.Unserved) (jobs.GivenUp, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.givenUp = append(f.givenUp, u)
	return f.giveUp(u), f.query()
}

func (f *fleet) Unpark(_ context.Context, now time.Time, limit int) (n int, next time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unparks++
	for id, at := range f.runAt {
		switch {
		case !now.Before(at) && n < limit:
			delete(f.runAt, id)
			n++
		case now.Before(at) && (next.IsZero() || at.Before(next)):
			next = at
		}
	}
	return n, next, f.query()
}

// park makes those wait for a time.
func (f *fleet) park(at time.Time, ids ...uuid.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		f.runAt[id] = at
	}
}

func (f *fleet) Outstanding(context.Context) ([]jobs.Outstanding, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.passes = append(f.passes, time.Now())
	if slow := f.slow; slow > 0 {
		f.mu.Unlock()
		time.Sleep(slow)
		f.mu.Lock()
	}
	counts := make(map[[4]string]int)
	for _, r := range f.released {
		counts[[4]string{r.Provider, r.Model, r.Tenant, r.UseCase}]++
	}
	var all []jobs.Outstanding
	for k, n := range counts {
		all = append(all, jobs.Outstanding{Provider: k[0], Model: k[1], Tenant: k[2], UseCase: k[3], Count: n})
	}
	return all, f.query()
}

func (f *fleet) Release(_ context.Context, releases []jobs.Release, at time.Time) ([]jobs.Task, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.query(); err != nil {
		return nil, err
	}
	var tasks []jobs.Task
	for _, r := range releases {
		c, ok := f.take(r)
		if !ok {
			continue
		}
		f.released[r.Execution] = running{c, r, at}
		f.log = append(f.log, running{c, r, at})
		tasks = append(tasks, jobs.Task{
			Execution: r.Execution, Fence: r.Fence + 1, Provider: r.Provider, Priority: c.Priority,
		})
	}
	held := make(map[string]int)
	for _, r := range f.released {
		held[r.Provider]++
		f.most[r.Provider] = max(f.most[r.Provider], held[r.Provider])
	}
	return tasks, nil
}

// take removes the candidate that r names from what is ready.
func (f *fleet) take(r jobs.Release) (jobs.Candidate, bool) {
	key, ok := f.where[r.Execution]
	tenants := f.ready[jobs.ReadyQuery{Route: key.Route, UseCase: key.UseCase, Priority: key.Priority}]
	cs := tenants[key.Tenant]
	i := slices.IndexFunc(cs, func(c jobs.Candidate) bool { return c.Execution == r.Execution && c.Fence == r.Fence })
	if !ok || i < 0 {
		return jobs.Candidate{}, false
	}
	c := cs[i]
	switch {
	case len(cs) == 1:
		delete(tenants, key.Tenant)
	case i == 0:
		tenants[key.Tenant] = cs[1:]
	default:
		tenants[key.Tenant] = slices.Delete(cs, i, i+1)
	}
	delete(f.where, r.Execution)
	return c, true
}

func (f *fleet) SetFlows(_ context.Context, flows []jobs.Flow, until time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !until.After(time.Now()) {
		f.t.Errorf("flows are told until %v, which is past", until)
	}
	f.flows = flows
	return f.query()
}

func (f *fleet) Lease(_ context.Context, name string, holder uuid.UUID, ttl time.Duration) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leaseTries++
	if f.awayFor == holder {
		return false, errAway
	}
	if l, ok := f.leases[name]; ok && l.holder != holder && time.Now().Before(l.until) {
		return false, f.away
	}
	if f.away == nil {
		f.leases[name] = lease{holder, time.Now().Add(ttl)}
	}
	return f.away == nil, f.away
}

func (f *fleet) Unlease(_ context.Context, name string, holder uuid.UUID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leases[name].holder == holder {
		delete(f.leases, name)
	}
	return f.away
}

func (f *fleet) Enqueue(_ context.Context, tasks []jobs.Task) error {
	f.mu.Lock()
	f.enqueues++
	err, onTask := f.queueAway, f.onTask
	f.mu.Unlock()
	if err == nil {
		for _, task := range tasks {
			onTask(task)
		}
	}
	return err
}

func (f *fleet) Missing(context.Context, []jobs.Task) ([]jobs.Task, error) { return nil, nil }

func (f *fleet) Consume(context.Context, string, int, func(context.Context, jobs.Task)) error {
	return nil
}

// finish ends a release.
func (f *fleet) finish(id uuid.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.released, id)
}

// finishAll ends every release.
func (f *fleet) finishAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.released)
}

func (f *fleet) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// logged returns what was released so far, in order, and forgets it.
func (f *fleet) logged() []running {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.log
	f.log = nil
	return log
}

// asked returns how many queries were made so far, leases apart, and forgets it.
func (f *fleet) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.queries
	f.queries = 0
	return n
}

func count(log []running, key func(running) string) map[string]int {
	counts := make(map[string]int)
	for _, r := range log {
		counts[key(r)]++
	}
	return counts
}

func byTenant(r running) string { return r.Tenant }

func byPriority(r running) string { return r.Priority.String() }

// start runs a dispatcher over f until the test ends, or stop is called.
func (f *fleet) start(pools map[string]int, changes ...func(*dispatch.Config)) (d *dispatch.Dispatcher, stop func()) {
	f.t.Helper()
	models := make(map[string][]string)
	for provider := range pools {
		models[provider] = nil
	}
	cfg := dispatch.Config{
		Store: f, Queue: f, Pools: pools, Holder: uuid.Must(uuid.NewV7()),
		Catalog: jobs.NewCatalog(nil, models, jobs.Route{MaxAttempts: 5}),
	}
	for _, change := range changes {
		change(&cfg)
	}
	d, err := dispatch.New(cfg)
	if err != nil {
		f.t.Fatalf("New: %v", err)
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := d.Run(ctx); err != nil {
			f.t.Errorf("Run = %v, want nil", err)
		}
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	f.t.Cleanup(stop)
	return d, stop
}
