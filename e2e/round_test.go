package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/e2e/history"
)

// round is a plan that is carried out.
type round struct {
	*fleet
	*traffic

	plan     plan
	ledger   ledger
	receiver *receiver
	// revivals start killed processes again. They come last: a process that is
	// started while its store is away ends, and is started again by whoever runs
	// it.
	revivals []func()
}

// play carries a plan out, checks the history, and returns its measures.
func play(t *testing.T, p plan) history.Measures {
	t.Helper()
	t.Logf("chaos: %s: %s", p.name(), p)
	f := startFleet(t, setup{
		apis: 2, workers: 2, concurrency: p.concurrency, faults: p.provider, ownPostgres: p.stopsPostgres(),
		webhooks: true,
	})
	r := &round{
		fleet: f, traffic: newTraffic(f, p), plan: p, ledger: ledger{f.database}, receiver: newReceiver(t, p.seed),
	}
	r.hook()
	r.suffer()
	if r.drain() {
		r.provesHealthy()
	}
	r.settle()
	m := history.Measure(r.check())
	if late := history.Max(m.Elsewhere); late > p.elsewhere() {
		t.Errorf("a silent worker's job ran elsewhere after %s, want at most %s", late, p.elsewhere())
	}
	return m
}

// check returns the history, in which nothing may be broken.
func (r *round) check() history.History {
	r.t.Helper()
	h := r.history()
	for _, v := range history.Check(h) {
		r.t.Errorf("%s", v)
	}
	if r.t.Failed() {
		r.keep(h)
	}
	r.keepsSecrets()
	return h
}

// elsewhere is after what time a silent worker's jobs must run elsewhere: 15 s,
// and as much more as other faults last, in which there may be no elsewhere.
func (p plan) elsewhere() time.Duration {
	longest := 15 * time.Second
	for _, s := range p.strikes {
		if len(p.strikes) > 1 {
			longest += s.lasts
		}
	}
	return longest
}

// stopsPostgres reports whether the fleet needs a Postgres of its own.
func (p plan) stopsPostgres() bool {
	return slices.Contains(p.faults, "postgres-away")
}

// suffer submits the jobs and lets the faults strike while more come in.
func (r *round) suffer() {
	var clients sync.WaitGroup
	defer clients.Wait()
	insisting, giveUp := context.WithCancel(r.t.Context())
	defer giveUp() // only when this round failed before its end
	ctx, stop := context.WithCancel(insisting)
	for range 4 {
		clients.Go(func() { r.watch(ctx) })
	}
	clients.Go(func() { r.watchBatches(ctx) })
	r.submit(insisting, r.draw(r.plan.jobs), 24)
	for _, o := range drawBatches(r.plan) {
		clients.Go(func() {
			pause(insisting, o.after)
			r.insistBatch(insisting, o)
		})
	}
	clients.Go(func() { r.trickle(ctx, insisting, 100*time.Millisecond) })
	r.strikeAll(r.plan.strikes)
	pause(ctx, time.Second) // some more traffic, to see that all is well again
	stop()
	clients.Wait()
}

// step is a moment of the schedule.
type step struct {
	at time.Duration
	do func()
}

// strikeAll carries the schedule out, in this goroutine: a strike's end becomes
// known when it begins.
func (r *round) strikeAll(strikes []strike) {
	var steps []step
	for _, s := range strikes {
		steps = append(steps, step{s.after, func() {
			end := s.kind.begin(r, s)
			steps = append(steps, step{s.after + s.lasts, end})
		}})
	}
	for begun := time.Now(); len(steps) > 0; {
		slices.SortStableFunc(steps, func(a, b step) int { return int(a.at - b.at) })
		next := steps[0]
		steps = steps[1:]
		pause(r.t.Context(), next.at-time.Since(begun))
		next.do()
	}
	for _, revive := range r.revivals {
		revive()
	}
}

// drain waits until every job has ended, as the store says, and reports whether
// all have.
func (r *round) drain() bool {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), r.plan.patience)
	defer cancel()
	for ; ctx.Err() == nil; pause(ctx, 250*time.Millisecond) {
		if n, err := r.ledger.unfinished(ctx); err == nil && n == 0 {
			return true
		}
	}
	r.t.Errorf("invariant 1: jobs are stuck %s after the last fault", r.plan.patience)
	return false
}

// provesHealthy asks every process that lives to do its work again: each API
// takes jobs in, each worker runs some of them.
func (r *round) provesHealthy() {
	r.t.Helper()
	runs := map[*node]float64{}
	var apis []*node
	for _, n := range r.nodes() {
		ready(r.t, n.addr)
		if n.program == "api" {
			apis = append(apis, n)
		} else {
			runs[n] = metric(r.t, n, "penstock_runs_total")
		}
	}
	r.acceptsAgain(apis, r.draw(4*r.plan.concurrency))
	r.drain()
	for n, before := range runs {
		if metric(r.t, n, "penstock_runs_total") == before {
			r.t.Errorf("%s runs nothing after its healing", n.name)
		}
	}
}

// acceptsAgain submits to all APIs in turn; each must accept at once.
func (r *round) acceptsAgain(apis []*node, all []submission) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	for i, s := range all {
		s.cancelAfter = 0
		api := apis[i%len(apis)]
		a, sent, err := r.try(ctx, api, s)
		if err != nil || a.status != http.StatusAccepted {
			r.t.Errorf("%s does not accept after its healing: %d %s, %v", api.name, a.status, a.code, err)
			r.insist(ctx, s)
			continue
		}
		r.accepted(ctx, s, a, sent)
	}
}

// settle waits until the last calls are closed that nobody waited for.
func (r *round) settle() {
	r.errands.Wait()
	ctx, cancel := context.WithTimeout(r.t.Context(), 15*time.Second)
	defer cancel()
	for ; ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		running := 0.0
		for _, n := range r.workers {
			if n.alive() {
				running += metric(r.t, n, "penstock_calls_running")
			}
		}
		if running == 0 {
			return
		}
	}
	r.t.Error("calls go on that no job waits for")
}

// history reads what the store and the provider have to say, and looks at each
// job once more as its client.
func (r *round) history() history.History {
	r.t.Helper()
	api := r.nodes()[0] // no plan kills both for good
	for _, id := range r.known {
		if _, ok := r.look(r.t.Context(), api, id, r.tenants[id]); !ok {
			r.t.Errorf("job %s cannot be read", id)
		}
	}
	h := r.seen
	if r.database != "" {
		r.ledger.read(r.t, &h)
	}
	var err error
	if h.Kept, err = r.kept(r.t.Context(), api, tenants...); err != nil {
		r.t.Errorf("batches cannot be read: %v", err)
	}
	r.delivered(h)
	h.Deliveries = r.receiver.deliveries()
	if r.database == "" {
		return h
	}
	calls, err := r.providerCalls()
	if err != nil {
		r.t.Fatal(err)
	}
	h.Provider = calls
	return h
}

// keep writes the history down, for -artifacts.
func (r *round) keep(h history.History) {
	r.t.Helper()
	raw, err := json.Marshal(h) //nolint:musttag // for people to read
	if err != nil {
		r.t.Fatal(err)
	}
	write(r.t, filepath.Join(r.t.ArtifactDir(), "history.json"), string(raw))
}

// keepsSecrets is invariant 10 for logs.
func (r *round) keepsSecrets() {
	r.t.Helper()
	for _, n := range append(slices.Clone(r.apis), r.workers...) {
		if log := n.log.String(); strings.Contains(log, prompt) || strings.Contains(log, secret) {
			r.t.Errorf("invariant 10: the log of %s holds a prompt or a key", n.name)
		}
	}
}

// node returns the process a strike is for.
func (r *round) node(s strike) *node {
	if s.kind.on == "api" {
		return r.apis[s.target]
	}
	return r.workers[s.target]
}

// struck notes the beginning of a fault and returns its number.
func (r *round) struck(s strike, n *node) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Until it is over: a process that is not started again stays struck.
	f := history.Fault{Name: s.kind.name, From: time.Now(), To: time.Now().Add(24 * time.Hour)}
	if n != nil {
		f.Process = n.name
	}
	r.seen.Faults = append(r.seen.Faults, f)
	return len(r.seen.Faults) - 1
}

func (r *round) over(fault int) {
	r.edit(fault, func(f *history.Fault) { f.To = time.Now() })
}

func (r *round) edit(fault int, change func(*history.Fault)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.seen.Faults[fault])
}

func (r *round) hold(fault int, tasks []history.Task) {
	r.edit(fault, func(f *history.Fault) {
		for _, t := range tasks {
			if !slices.Contains(f.Held, t) {
				f.Held = append(f.Held, t)
			}
		}
	})
}

// metric returns the sum of a process's metric over its labels.
func metric(t *testing.T, n *node, name string) float64 {
	t.Helper()
	resp, err := http.Get("http://" + n.addr + "/metrics") //nolint:noctx // on loopback, at once
	if err != nil {
		t.Errorf("metrics of %s: %v", n.name, err)
		return 0
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("metrics of %s: %v", n.name, err)
	}
	sum := 0.0
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllSubmatch(raw, -1) {
		v, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Errorf("metric %s of %s: %v", name, n.name, err)
		}
		sum += v
	}
	return sum
}
