package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/live"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

// rig is a worker's relay, an API's hub and follower, and a store to run jobs
// in by hand.
type rig struct {
	t        *testing.T
	bus      *queuetest.Bus
	signals  *queuetest.Queue
	store    *sqlite.Store
	service  *jobs.Service
	relay    *live.Relay
	follower *live.Follower
	worker   jobs.Worker
}

// inBubble runs do in a bubble with a rig whose parts run.
func inBubble(t *testing.T, do func(*rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{
			t: t, bus: queuetest.NewBus(), signals: queuetest.New(), store: store,
			worker: jobs.Worker{ID: uuid.New(), Name: "hand"},
		}
		route := jobs.Route{Name: "default", Targets: []jobs.Target{{Provider: "sim", Model: "sim-1"}}, MaxAttempts: 5}
		r.service = jobs.NewService(store, r.signals, jobs.NewCatalog([]jobs.Route{route}, nil, route))
		hub := live.NewHub(r.bus)
		r.relay, r.follower = live.NewRelay(r.bus), live.NewFollower(r.service, hub)
		ctx, stop := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		for _, run := range []func(context.Context) error{r.service.Run, hub.Run, r.relay.Run} {
			parts.Go(func() {
				if err := run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		t.Cleanup(func() {
			stop()
			parts.Wait()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		do(r)
	})
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) submit() jobs.Job {
	r.t.Helper()
	done, err := r.service.Submit(r.t.Context(), jobs.NewJob{
		Tenant: "acme", Request: json.RawMessage(`{"model":"default","messages":[{"role":"user","content":"hi"}]}`),
	})
	r.must(err)
	return done.Job
}

// claim releases and claims the one execution that is ready.
func (r *rig) claim() jobs.Work {
	r.t.Helper()
	ctx := r.t.Context()
	_, _, err := r.store.Unpark(ctx, time.Now(), 1)
	r.must(err)
	ready, err := r.store.Ready(ctx, jobs.ReadyQuery{Route: "default", Now: time.Now(), Tenants: 2, PerTenant: 2})
	r.must(err)
	if len(ready) != 1 {
		r.t.Fatalf("%d executions are ready, want 1", len(ready))
	}
	tasks, err := r.store.Release(ctx, []jobs.Release{
		{Execution: ready[0].Execution, Fence: ready[0].Fence, Provider: "sim", Model: "sim-1"},
	}, time.Now())
	r.must(err)
	_, err = r.store.Beat(ctx, r.worker, nil)
	r.must(err)
	work, err := r.store.Claim(ctx, jobs.Claim{
		Task: tasks[0], Worker: r.worker.ID, Call: uuid.Must(uuid.NewV7()), At: time.Now(),
	})
	r.must(err)
	return work
}

func call(w jobs.Work, status jobs.CallStatus) jobs.Call {
	return jobs.Call{
		ID: w.Call, Execution: w.Task.Execution, Fence: w.Task.Fence, Tenant: w.Tenant, RequestHash: w.RequestHash,
		Provider: "sim", Model: "sim-1", Status: status, CreatedAt: time.Now(),
	}
}

func (r *rig) succeed(w jobs.Work) {
	r.t.Helper()
	ended, err := r.store.Finish(r.t.Context(), jobs.Outcome{
		Task: w.Task, Call: call(w, jobs.CallSuccess), Status: jobs.StatusSucceeded,
		Result: json.RawMessage(`{"whole":"answer"}`), At: time.Now(),
	})
	r.must(err)
	r.must(r.signals.Send(r.t.Context(), jobs.Signal{Kind: jobs.SignalEnded, Jobs: ended}))
}

func (r *rig) reschedule(w jobs.Work, later time.Duration) {
	r.t.Helper()
	c := call(w, jobs.CallFailure)
	c.ErrorClass = "truncated"
	r.must(r.store.Reschedule(r.t.Context(), jobs.Rescheduling{
		Task: w.Task, Call: c, RunAt: time.Now().Add(later), WaitingOn: jobs.WaitingOnRetry, Tries: 1,
	}))
}

func add(s *live.Stream, from, to int) {
	for i := from; i <= to; i++ {
		s.Add(json.RawMessage(fmt.Sprint(i)))
	}
}

// listening is one listener and what it was told, in words.
type listening struct {
	job   uuid.UUID
	mu    sync.Mutex
	words []string
	end   chan error
	leave context.CancelFunc
}

func (r *rig) listen(id uuid.UUID, after jobs.StreamPosition) *listening {
	ctx, leave := context.WithCancel(r.t.Context())
	l := &listening{job: id, end: make(chan error, 1), leave: leave}
	stream, err := r.follower.Open(ctx, "acme", id)
	r.must(err)
	go func() {
		defer stream.Close()
		l.end <- stream.Run(ctx, after, l.tell)
	}()
	synctest.Wait()
	return l
}

func (l *listening) tell(events ...jobs.StreamEvent) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		switch e.Type {
		case jobs.StreamStatus:
			l.words = append(l.words, string(e.Job.Status))
		case jobs.StreamDelta:
			l.words = append(l.words, fmt.Sprintf("%d-%d:%s", e.At.Fence, e.At.Seq, e.Data))
		case jobs.StreamDone:
			l.words = append(l.words, "done:"+string(e.Job.Status)+string(e.Job.Result))
		case jobs.StreamRestart, jobs.StreamPing:
			l.words = append(l.words, string(e.Type))
		}
	}
	return nil
}

// told asserts all that the listener was told, once nothing moves any more.
func (l *listening) told(r *rig, want string) {
	r.t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Join(l.words, " "); got != want {
		r.t.Fatalf("\ntold %s\nwant %s", got, want)
	}
}

const done = `done:succeeded{"whole":"answer"}`

func TestAListenerIsToldAllOfIt(t *testing.T) {
	inBubble(t, func(r *rig) {
		job := r.submit()
		early := r.listen(job.ID, jobs.StreamPosition{})
		early.told(r, "queued")
		w := r.claim()
		s := r.relay.Begin(w.Task)
		early.told(r, "queued running")
		add(s, 1, 2)
		early.told(r, "queued running 1-1:1 1-2:2")
		late := r.listen(job.ID, jobs.StreamPosition{})
		late.told(r, "running 1-1:1 1-2:2")
		back := r.listen(job.ID, jobs.StreamPosition{Fence: 1, Seq: 1})
		add(s, 3, 3)
		s.End(r.t.Context())
		r.succeed(w)
		early.told(r, "queued running 1-1:1 1-2:2 1-3:3 "+done)
		late.told(r, "running 1-1:1 1-2:2 1-3:3 "+done)
		back.told(r, "running 1-2:2 1-3:3 "+done)
		r.listen(job.ID, jobs.StreamPosition{Fence: 1, Seq: 2}).told(r, done)
		for _, l := range []*listening{early, late, back} {
			r.must(<-l.end)
		}
	})
}

func TestAnotherRunIsARestart(t *testing.T) {
	inBubble(t, func(r *rig) {
		job := r.submit()
		l := r.listen(job.ID, jobs.StreamPosition{})
		w := r.claim()
		s := r.relay.Begin(w.Task)
		add(s, 1, 2)
		l.told(r, "queued running 1-1:1 1-2:2")
		s.End(r.t.Context())
		r.reschedule(w, 3*time.Second)
		time.Sleep(3 * time.Second)
		l.told(r, "queued running 1-1:1 1-2:2 queued")
		w = r.claim()
		stale := s
		s = r.relay.Begin(w.Task)
		l.told(r, "queued running 1-1:1 1-2:2 queued restart running")
		add(stale, 9, 9)
		add(s, 1, 1)
		s.End(r.t.Context())
		r.succeed(w)
		l.told(r, "queued running 1-1:1 1-2:2 queued restart running 2-1:1 "+done)
		r.must(<-l.end)
	})
}

// One who saw pieces of a run that another has replaced is told so.
func TestComingBackToAnotherRun(t *testing.T) {
	inBubble(t, func(r *rig) {
		job := r.submit()
		r.reschedule(r.claim(), 0)
		w := r.claim()
		s := r.relay.Begin(w.Task)
		add(s, 1, 1)
		r.listen(job.ID, jobs.StreamPosition{Fence: 1, Seq: 7}).told(r, "running restart 2-1:1")
		r.listen(job.ID, jobs.StreamPosition{Fence: 2, Seq: 7}).told(r, "running")
	})
}

func TestLostMessagesAreAskedForAgain(t *testing.T) {
	inBubble(t, func(r *rig) {
		l := r.listen(r.submit().ID, jobs.StreamPosition{})
		w := r.claim()
		s := r.relay.Begin(w.Task)
		add(s, 1, 1)
		l.told(r, "queued running 1-1:1")
		all := func(jobs.Message) bool { return true }
		r.bus.Drop(all)
		add(s, 2, 2)
		l.told(r, "queued running 1-1:1")
		r.bus.Drop(nil)
		add(s, 3, 3) // a gap
		l.told(r, "queued running 1-1:1 1-2:2 1-3:3")

		r.bus.Drop(all)
		add(s, 4, 4)
		synctest.Wait()
		r.bus.Drop(nil)
		r.bus.Reconnect()
		l.told(r, "queued running 1-1:1 1-2:2 1-3:3 1-4:4")

		r.bus.Drop(all)
		add(s, 5, 5)
		synctest.Wait()
		r.bus.Drop(nil)
		time.Sleep(10 * time.Second) // asked for by the renewal
		l.told(r, "queued running 1-1:1 1-2:2 1-3:3 1-4:4 1-5:5")
	})
}

// What is not shown for want of a bus is in the result.
func TestTheEndComesWithoutABus(t *testing.T) {
	inBubble(t, func(r *rig) {
		l := r.listen(r.submit().ID, jobs.StreamPosition{})
		w := r.claim()
		s := r.relay.Begin(w.Task)
		add(s, 1, 1)
		l.told(r, "queued running 1-1:1")
		r.bus.Drop(func(jobs.Message) bool { return true })
		add(s, 2, 2)
		s.End(r.t.Context())
		r.succeed(w)
		begun := time.Now()
		r.must(<-l.end)
		l.told(r, "queued running 1-1:1 "+done)
		if late := time.Since(begun); late > time.Second {
			r.t.Errorf("the end came %v late", late)
		}
	})
}

// A status that no signal tells of is seen by looking.
func TestAChangeWithoutSignalIsSeen(t *testing.T) {
	inBubble(t, func(r *rig) {
		job := r.submit()
		l := r.listen(job.ID, jobs.StreamPosition{})
		_, _, err := r.store.Cancel(r.t.Context(), "acme", job.ID, time.Now())
		r.must(err)
		time.Sleep(2 * time.Second)
		l.told(r, "queued done:cancelled")
	})
}

func TestSilenceIsPinged(t *testing.T) {
	inBubble(t, func(r *rig) {
		l := r.listen(r.submit().ID, jobs.StreamPosition{})
		time.Sleep(31 * time.Second)
		l.told(r, "queued ping ping")
		l.leave()
		if err := <-l.end; err == nil {
			r.t.Error("a listener that left: no error")
		}
	})
}

func TestNobodyElsesJob(t *testing.T) {
	inBubble(t, func(r *rig) {
		job := r.submit()
		_, err := r.follower.Open(r.t.Context(), "other", job.ID)
		if err != jobs.ErrNotFound { //nolint:errorlint // the very one
			r.t.Errorf("another tenant's job: %v", err)
		}
	})
}

// A run that nobody listens to is announced and costs nothing else, and a hub
// that has gone is forgotten.
func TestNobodyListens(t *testing.T) {
	inBubble(t, func(r *rig) {
		sent := map[string]int{}
		r.bus.Drop(func(m jobs.Message) bool {
			kind, _, _ := strings.Cut(strings.TrimPrefix(m.Topic, "live:"), "-")
			if len(kind) == 8 {
				kind = "told"
			}
			sent[kind]++
			return false
		})
		job := r.submit()
		w := r.claim()
		s := r.relay.Begin(w.Task)
		add(s, 1, 5)
		synctest.Wait()
		if fmt.Sprint(sent) != "map[begun:1]" {
			r.t.Errorf("sent %v for a run that nobody listens to", sent)
		}
		l := r.listen(job.ID, jobs.StreamPosition{})
		l.told(r, "running 1-1:1 1-2:2 1-3:3 1-4:4 1-5:5")
		l.leave()
		if err := <-l.end; err == nil {
			r.t.Error("a listener that left: no error")
		}
		time.Sleep(31 * time.Second)
		clear(sent)
		add(s, 6, 9)
		begun := time.Now()
		s.End(r.t.Context())
		if len(sent) != 0 || time.Since(begun) != 0 {
			r.t.Errorf("sent %v, waited %v for a hub that has gone", sent, time.Since(begun))
		}
	})
}

// A long answer goes in messages of bounded size, and all of it arrives.
func TestALongAnswerComesInParts(t *testing.T) {
	inBubble(t, func(r *rig) {
		largest := 0
		r.bus.Drop(func(m jobs.Message) bool {
			largest = max(largest, len(m.Data))
			return false
		})
		job := r.submit()
		s := r.relay.Begin(r.claim().Task)
		for range 100 {
			s.Add(json.RawMessage(`"` + strings.Repeat("x", 10_000) + `"`))
		}
		l := r.listen(job.ID, jobs.StreamPosition{})
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.words) != 101 || largest > 300_000 {
			r.t.Errorf("told %d times, the largest message has %d bytes", len(l.words), largest)
		}
	})
}

// A worker that does not know that it was replaced changes nothing.
func TestAStaleRunIsNotShown(t *testing.T) {
	inBubble(t, func(r *rig) {
		l := r.listen(r.submit().ID, jobs.StreamPosition{})
		w := r.claim()
		stale := r.relay.Begin(w.Task)
		add(stale, 1, 2)
		l.told(r, "queued running 1-1:1 1-2:2")
		r.reschedule(w, 0)
		w = r.claim()
		s := r.relay.Begin(w.Task)
		add(s, 1, 2)
		const all = "queued running 1-1:1 1-2:2 restart 2-1:1 2-2:2"
		l.told(r, all)
		add(stale, 3, 3)
		elsewhere := live.NewRelay(r.bus)
		go func() { _ = elsewhere.Run(r.t.Context()) }()
		late := w.Task
		late.Fence = 1
		elsewhere.Begin(late)
		elsewhere.Begin(w.Task)
		l.told(r, all)
		stale.End(r.t.Context())
		time.Sleep(2 * time.Second)
		r.listen(l.job, jobs.StreamPosition{}).told(r, "running 2-1:1 2-2:2")
		r.listen(l.job, jobs.StreamPosition{Fence: 3, Seq: 1}).told(r, "running")
	})
}

// A run whose beginning nobody heard of is found by the renewal, from its start.
func TestABeginningThatWasLost(t *testing.T) {
	inBubble(t, func(r *rig) {
		l := r.listen(r.submit().ID, jobs.StreamPosition{})
		w := r.claim()
		s := r.relay.Begin(w.Task)
		add(s, 1, 1)
		l.told(r, "queued running 1-1:1")
		r.reschedule(w, 0)
		w = r.claim()
		r.bus.Drop(func(jobs.Message) bool { return true })
		add(r.relay.Begin(w.Task), 1, 3)
		synctest.Wait()
		r.bus.Drop(nil)
		time.Sleep(10 * time.Second)
		l.told(r, "queued running 1-1:1 restart 2-1:1 2-2:2 2-3:3")
	})
}

func TestTheEndWaitsUntilAllIsTold(t *testing.T) {
	inBubble(t, func(r *rig) {
		l := r.listen(r.submit().ID, jobs.StreamPosition{})
		s := r.relay.Begin(r.claim().Task)
		l.told(r, "queued running")
		over := false
		r.bus.Drop(func(m jobs.Message) bool {
			time.Sleep(100 * time.Millisecond) // on its way
			over = over || strings.Contains(string(m.Data), `"over":true`)
			return false
		})
		add(s, 1, 1)
		s.End(r.t.Context())
		if !over {
			r.t.Error("the end came before the last piece was told")
		}
		r.bus.Drop(nil)
	})
}

func TestWhatIsHeldOfOneAnswerIsBounded(t *testing.T) {
	inBubble(t, func(r *rig) {
		job := r.submit()
		s := r.relay.Begin(r.claim().Task)
		megabyte := json.RawMessage(`"` + strings.Repeat("x", 1<<20-2) + `"`)
		for range 20 {
			s.Add(megabyte)
		}
		l := r.listen(job.ID, jobs.StreamPosition{})
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.words) != 1+16 {
			r.t.Errorf("%d pieces of 1 MiB are held, want 16", len(l.words)-1)
		}
	})
}
