package keeper_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/batches/keeper"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/control"
	"github.com/penstock-dev/penstock/jobs/dispatch"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

// stage is a process with all real parts but the queue and the provider, in a bubble; its
// keepers come and go.
type stage struct {
	t       *testing.T
	store   *sqlite.Store
	queue   *queuetest.Queue
	jobs    *jobs.Service
	batches *batches.Service
	files   *files.Service

	mu sync.Mutex
	// answer says how the nth call for a prompt ends, and took how long it takes.
	answer func(prompt string, n int) error
	took   time.Duration
	// calls are counted by prompt; begun is when each began, live and most how many there
	// are at once.
	calls      map[string]int
	begun      []time.Time
	live, most int
	// told is what observers were.
	told map[batches.State]int
	over []batches.Batch
}

// newStage returns a running stage with so many places for calls.
func newStage(t *testing.T, places int) *stage {
	t.Helper()
	s := &stage{
		t: t, queue: queuetest.New(), calls: map[string]int{}, told: map[batches.State]int{}, took: time.Second,
		answer: func(string, int) error { return nil },
	}
	var err error
	s.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
	s.must(err)
	target := []jobs.Target{{Provider: "sim", Model: "m"}}
	catalog := jobs.NewCatalog([]jobs.Route{
		{Name: "m", Targets: target, MaxAttempts: 5, Timeouts: jobs.DefaultTimeouts()},
		{Name: "once", Targets: target, MaxAttempts: 1, Timeouts: jobs.DefaultTimeouts()},
	}, nil, jobs.Route{})
	s.jobs = jobs.NewService(s.store, s.queue, catalog)
	s.batches = batches.NewService(s.store, s.queue, s.jobs.CheckPolicy)
	s.files, err = files.NewService(files.Config{Store: s.store})
	s.must(err)
	s.start(catalog, places)
	return s
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// start starts what runs jobs.
func (s *stage) start(catalog *jobs.Catalog, places int) {
	s.t.Helper()
	id, pools := uuid.Must(uuid.NewV7()), map[string]int{"sim": places}
	dispatcher, err := dispatch.New(dispatch.Config{
		Store: s.store, Queue: s.queue, Signals: s.queue, Catalog: catalog, Pools: pools, Holder: id,
	})
	s.must(err)
	runner, err := run.New(run.Config{
		Store: s.store, Queue: s.queue, Signals: s.queue, Catalog: catalog, Worker: jobs.Worker{ID: id, Name: "w"},
		Providers: map[string]providers.Provider{"sim": s}, Concurrency: pools,
		DrainTimeout: time.Second, FlushTimeout: time.Second,
	})
	s.must(err)
	controller, err := control.New(control.Config{Store: s.store, Queue: s.queue, Signals: s.queue, Holder: id})
	s.must(err)
	ctx, stop := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, part := range []func(context.Context) error{
		dispatcher.Run, runner.Run, controller.Run,
		func(ctx context.Context) error {
			return s.queue.Listen(ctx, func(signal jobs.Signal) {
				dispatcher.WakeAt(signal.At)
				runner.Stop(signal.Executions)
			}, jobs.SignalReady, jobs.SignalStopped)
		},
	} {
		parts.Go(func() {
			if err := part(ctx); err != nil {
				s.t.Errorf("a part returned %v, want nil", err)
			}
		})
	}
	s.t.Cleanup(func() {
		stop()
		parts.Wait()
		s.must(s.store.Close())
	})
}

// Call implements [providers.Provider].
func (s *stage) Call(ctx context.Context, req providers.Request, _ func(providers.Chunk)) (providers.Response, error) {
	var body struct {
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return providers.Response{}, err
	}
	prompt := body.Messages[0].Content
	s.mu.Lock()
	s.calls[prompt]++
	n, took := s.calls[prompt], s.took
	s.begun = append(s.begun, time.Now())
	s.live++
	s.most = max(s.most, s.live)
	s.mu.Unlock()
	defer s.note(func() { s.live-- })
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return providers.Response{}, &providers.Error{Class: providers.Cancelled, Message: "cancelled", Err: ctx.Err()}
	}
	if err := s.answer(prompt, n); err != nil {
		return providers.Response{}, err
	}
	answer, err := json.Marshal(map[string]string{"says": prompt})
	return providers.Response{
		Body: answer, HTTPStatus: 200, Usage: providers.Usage{Known: true, InputTokens: 3, OutputTokens: 2},
	}, err
}

var overloaded = &providers.Error{Class: providers.Overloaded, HTTPStatus: 503, Message: "busy"}

func (s *stage) note(what func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what()
}

// called returns how often the provider was called for each prompt, and in all.
func (s *stage) called() (by map[string]int, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.calls {
		all += n
	}
	return maps.Clone(s.calls), all
}

// running is a keeper that runs.
type running struct {
	*keeper.Keeper

	stop func()
	// dead says that its process was killed: nothing that it does reaches anybody.
	dead *cut
}

// keep starts a keeper that hears signals. It is stopped with the test.
func (s *stage) keep(adjust ...func(*keeper.Config, *cut)) *running {
	s.t.Helper()
	r := s.keepDeaf(adjust...)
	ctx, cancel := context.WithCancel(context.Background())
	var hearing sync.WaitGroup
	hearing.Go(func() {
		_ = s.queue.Listen(ctx, func(signal jobs.Signal) {
			if signal.Kind == jobs.SignalEnded {
				r.Ended(signal.Jobs...)
			} else {
				r.Changed(signal.Batches...)
			}
		}, jobs.SignalEnded, jobs.SignalBatches)
	})
	s.t.Cleanup(func() { cancel(); hearing.Wait() })
	return r
}

// keepDeaf starts a keeper that nobody tells anything.
func (s *stage) keepDeaf(adjust ...func(*keeper.Config, *cut)) *running {
	s.t.Helper()
	dead := &cut{}
	cfg := keeper.Config{
		Store: cutStore{s.store, dead}, Jobs: cutJobs{s.jobs, dead}, Standings: s.store, Holder: uuid.New(), Open: s.open,
		Observer: keeper.Observer{
			LinesEnded: func(as batches.State, n int) { s.note(func() { s.told[as] += n }) },
			Ended:      func(b batches.Batch) { s.note(func() { s.over = append(s.over, b) }) },
			Error: func(err error) {
				if !dead.is() && !errors.Is(err, errCut) {
					s.t.Errorf("the keeper reports: %v", err)
				}
			},
		},
	}
	for _, a := range adjust {
		a(&cfg, dead)
	}
	k, err := keeper.New(cfg)
	s.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() {
		if err := k.Run(ctx); err != nil {
			s.t.Errorf("Run returned %v, want nil", err)
		}
	})
	r := &running{Keeper: k, dead: dead, stop: func() { cancel(); parts.Wait() }}
	s.t.Cleanup(r.stop)
	return r
}

// open returns the input of a batch.
func (s *stage) open(ctx context.Context, b batches.Batch) (io.ReaderAt, int64, error) {
	f, err := s.store.File(ctx, b.Tenant, b.Input, b.CreatedAt)
	if err != nil {
		return nil, 0, err
	}
	return s.files.Open(ctx, b.Tenant, f), f.Bytes, nil
}

// line is one that asks with a prompt.
func line(customID, model, prompt string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":"/v1/chat/completions","body":{"model":%q,"messages":[{"role":"user","content":%q}]}}`,
		customID, model, prompt)
}

// lines are n that each ask with a prompt of its own, from p0 on.
func lines(n int, model string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = line(fmt.Sprint("c", i), model, fmt.Sprint("p", i))
	}
	return all
}

// upload keeps a file.
func (s *stage) upload(lines ...string) uuid.UUID {
	s.t.Helper()
	w, err := s.files.Create(s.t.Context(), files.New{Tenant: "acme", Name: "input.jsonl", Purpose: files.PurposeBatch})
	s.must(err)
	_, err = io.WriteString(w, strings.Join(lines, "\n")+"\n")
	s.must(err)
	f, err := w.Commit(s.t.Context())
	s.must(err)
	return f.ID
}

// create makes a batch of lines.
func (s *stage) create(all []string, adjust ...func(*batches.New)) batches.Batch {
	s.t.Helper()
	n := batches.New{Tenant: "acme", Endpoint: providers.ChatCompletions, Input: s.upload(all...), Metadata: map[string]string{"a": "b"}}
	for _, a := range adjust {
		a(&n)
	}
	b, _, err := s.batches.Create(s.t.Context(), n)
	s.must(err)
	return b
}

// look returns the batch as it is.
func (s *stage) look(b batches.Batch) batches.Batch {
	s.t.Helper()
	b, err := s.batches.Batch(s.t.Context(), "acme", b.ID)
	s.must(err)
	return b
}

// until waits for something to be so of a batch, for a virtual day at most.
func (s *stage) until(b batches.Batch, what string, so func(batches.Batch) bool) batches.Batch {
	s.t.Helper()
	for begun := time.Now(); time.Since(begun) < 25*time.Hour; time.Sleep(100 * time.Millisecond) {
		if b = s.look(b); so(b) {
			return b
		}
	}
	s.t.Fatalf("never %s: %+v", what, b)
	return b
}

func (s *stage) ended(b batches.Batch) batches.Batch {
	s.t.Helper()
	return s.until(b, "ended", func(b batches.Batch) bool { return b.Status.Terminal() })
}

// answers lists the answers of a batch by custom id, in both orders: each line is told
// of once, and counted as what it is.
func (s *stage) answers(b batches.Batch) map[string]batches.Answer {
	s.t.Helper()
	var by map[string]batches.Answer
	for _, asFinished := range []bool{true, false} {
		by = make(map[string]batches.Answer)
		states := make(map[batches.State]int)
		last := int64(0)
		for a, err := range s.batches.Answers(s.t.Context(), batches.AnswerQuery{Tenant: "acme", Batch: b.ID, AsFinished: asFinished, Limit: 7}) {
			s.must(err)
			at := int64(a.N)
			if asFinished {
				at = a.Seq
			}
			if _, twice := by[a.CustomID]; twice || at <= last {
				s.t.Fatalf("line %d, %s, is told of twice, or after %d", a.N, a.CustomID, last)
			}
			by[a.CustomID], last = a, at
			states[a.State]++
			if (a.State == batches.LineSucceeded) != (len(a.Result) > 0) {
				s.t.Errorf("line %d is %s and has the result %q", a.N, a.State, a.Result)
			}
		}
		c := batches.Counts{
			Total: len(by), Succeeded: states[batches.LineSucceeded], Failed: states[batches.LineFailed],
			Cancelled: states[batches.LineCancelled], Expired: states[batches.LineExpired], Deduplicated: b.Counts.Deduplicated,
		}
		if b.Status.Terminal() && c != b.Counts {
			s.t.Errorf("the answers make %+v, the batch counts %+v", c, b.Counts)
		}
	}
	return by
}

// cut says whether a process is cut off from all others.
type cut struct {
	mu  sync.Mutex
	off bool
}

var errCut = jobs.Unavailable(errors.New("cut off"))

func (c *cut) set(is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = is
}

func (c *cut) is() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off
}
