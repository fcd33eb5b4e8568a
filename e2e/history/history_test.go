package history

import (
	"strings"
	"testing"
	"time"
)

// at is a moment of the good history.
func at(seconds float64) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

// good is a history in which all is well: two jobs share an execution, one was
// retried by Penstock after a failure, one ran again after the death of its
// worker, one was cancelled, one expired while the store was away.
func good() History {
	h := History{
		Cancels: map[string]bool{"cancelled": true}, Retries: map[string]string{},
		Left:   map[string]int{"queue": 0, "releases": 0, "live_jobs": 0},
		Hooked: map[string]bool{"acme": true},
		Faults: []Fault{
			{Name: "kill-worker", Process: "worker-0", From: at(2), To: at(100), Held: []Task{{"e-died", 1}}},
			{Name: "postgres-away", From: at(20), To: at(30), StoreAway: true},
		},
	}
	h.add("first", "e-shared", succeeded, "answer", 3)
	h.add("second", "e-shared", succeeded, "answer", 3)
	h.add("tried", "e-tried", succeeded, "tried", 6)
	h.add("died", "e-died", succeeded, "died", 12)
	h.add("cancelled", "e-left", cancelled, "", 4)
	h.add("expired", "e-late", expired, "", 31)
	h.Jobs[2].Tries, h.Executions[1].Tries = 1, 1
	h.Executions[1].Fence, h.Executions[2].Fence = 2, 2
	h.Jobs[5].Deadline = at(25)
	h.Calls = []Call{
		{Task: Task{"e-shared", 1}, Status: "success"},
		{Task: Task{"e-tried", 1}, Status: "failure", Class: "server_error", Try: true, Outage: true},
		{Task: Task{"e-tried", 2}, Status: "success"},
		{Task: Task{"e-died", 1}},
		{Task: Task{"e-died", 2}, Status: "success"},
		{Task: Task{"e-left", 1}, Status: "cancelled", Class: "cancelled"},
	}
	h.Provider = []ProviderCall{
		{Task: Task{"e-shared", 1}, Start: at(1), End: at(3), Outcome: "ok"},
		{Task: Task{"e-tried", 1}, Start: at(1), End: at(2), Outcome: "server_error"},
		{Task: Task{"e-tried", 2}, Start: at(4), End: at(6), Outcome: "ok"},
		{Task: Task{"e-died", 1}, Start: at(1), End: at(9), Outcome: "left"},
		{Task: Task{"e-died", 2}, Start: at(8), End: at(12), Outcome: "ok"},
		{Task: Task{"e-left", 1}, Start: at(1), End: at(5), Outcome: "left"},
	}
	return h
}

// add adds a job with all that belongs to it.
func (h *History) add(id, execution, status, outcome string, finished float64) {
	h.Submissions = append(h.Submissions, Submission{
		Key: "key-" + id, Tenant: "acme", API: "api-0", Sent: at(0), Answered: at(0.5), Status: 202, Job: id,
	})
	h.Jobs = append(h.Jobs, Job{
		ID: id, Tenant: "acme", Key: "key-" + id, Execution: execution, Hash: "hash of " + execution, Status: status,
		Created: at(0), Deadline: at(3600), Finished: at(finished),
	})
	h.Events = append(h.Events, Event{Job: id, Tenant: "acme", Type: "job." + status})
	h.Deliveries = append(h.Deliveries, Delivery{ID: "d-" + id, Body: id, Tenant: "acme", Type: "job." + status, Job: id})
	h.Sightings = append(h.Sightings,
		Sighting{Job: id, Sent: at(0), Answered: at(0.5), Status: "queued"},
		Sighting{Job: id, Sent: at(40), Answered: at(40.1), Status: status, Outcome: outcome})
	for _, e := range h.Executions {
		if e.ID == execution {
			return
		}
	}
	e := Execution{ID: execution, Tenant: "acme", Hash: "hash of " + execution}
	if status == succeeded {
		e.Fence, e.Status, e.Outcome, e.Finished = 1, status, outcome, at(finished)
	}
	h.Executions = append(h.Executions, e)
}

func TestGoodHistory(t *testing.T) {
	t.Parallel()
	for _, v := range Check(good()) {
		t.Errorf("a good history is objected to: %s", v)
	}
}

// TestABrokenOffCallMayStayOpen: nobody waited for it any more, and its worker died
// before it had said so.
func TestABrokenOffCallMayStayOpen(t *testing.T) {
	t.Parallel()
	h := good()
	h.Calls[5].Status, h.Calls[5].Class = "", ""
	for _, v := range Check(h) {
		t.Errorf("it is objected to: %s", v)
	}
}

// TestASilentWorkerMayAskLate: it had what another ran meanwhile, and had not asked yet.
func TestASilentWorkerMayAskLate(t *testing.T) {
	t.Parallel()
	h := good()
	h.Provider[3].Start, h.Provider[3].End = at(11), at(13)
	for _, v := range Check(h) {
		t.Errorf("it is objected to: %s", v)
	}
}

// doctored is a history with one thing wrong, and what must be said of it.
type doctored struct {
	what   string
	doctor func(h *History)
	say    string
}

// objects checks that each doctored history breaks that invariant, and that it
// is said why.
func objects(t *testing.T, invariant int, cases []doctored) {
	t.Helper()
	objectsTo(t, good, invariant, cases)
}

// objectsTo is the same of another history in which all is well.
func objectsTo(t *testing.T, good func() History, invariant int, cases []doctored) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			h := good()
			c.doctor(&h)
			got := Check(h)
			for _, v := range got {
				if v.Invariant == invariant && strings.Contains(v.What, c.say) {
					return
				}
			}
			t.Errorf("got %v, want invariant %d broken: …%s…", got, invariant, c.say)
		})
	}
}

func TestInvariant1(t *testing.T) {
	t.Parallel()
	objects(t, 1, []doctored{
		{"a job is lost", func(h *History) { h.Jobs = h.Jobs[1:] }, "is lost"},
		{"a client is told 404", func(h *History) { h.Sightings[3].Status = Missing }, "not there at"},
		{"a job is another tenant's", func(h *History) { h.Jobs[2].Tenant = "beta" }, "is lost"},
		{"a key has two jobs", func(h *History) {
			again := h.Submissions[0]
			again.Job = "second"
			h.Submissions = append(h.Submissions, again)
		}, "was answered with job first and with job second"},
		{"a job is kept that was not accepted", func(h *History) { h.Submissions[2].Status = 503 }, "was told of another or of none"},
		{"a retry that nobody asked for", func(h *History) {
			h.Jobs[2].Key, h.Submissions[2].Status, h.Submissions[2].Code, h.Submissions[2].RetryAfter = "", 503, "store_unavailable", "1"
		}, "nobody was told of"},
		{"a retry is lost", func(h *History) { h.Retries["gone"] = "cancelled" }, "a retry"},
		{"a job is stuck", func(h *History) { h.Jobs[0].Status = "running" }, "is stuck"},
		{"a row is left", func(h *History) { h.Left["releases"] = 1 }, "left in table releases"},
		{"a job ends late", func(h *History) { h.Jobs[4].Deadline = at(1) }, "after its deadline"},
		{"a job ends late after the store's return", func(h *History) { h.Jobs[5].Finished = at(36) }, "after its deadline"},
		{"a success after the deadline", func(h *History) { h.Jobs[0].Deadline = at(3) }, "past its deadline"},
		{"a client sees it queued too late", func(h *History) {
			h.Jobs[5].Deadline, h.Sightings[10].Sent, h.Sightings[10].Answered = at(3), at(9), at(9)
		}, "was queued still"},
		{"a 503 without Retry-After", func(h *History) { h.refuse("store_unavailable", "") }, "Retry-After"},
		{"a 503 of another code", func(h *History) { h.refuse("internal", "1") }, "503 with code"},
		{"a 500", func(h *History) {
			h.refuse("internal", "1")
			h.Submissions[len(h.Submissions)-1].Status = 500
		}, "refused with 500"},
		{"silence without a reason", func(h *History) {
			h.refuse("", "")
			h.Submissions[len(h.Submissions)-1].Status = 0
		}, "gave no answer"},
	})
}

// refuse adds a try that was refused before the one that was accepted.
func (h *History) refuse(code, retryAfter string) {
	try := h.Submissions[0]
	try.Status, try.Code, try.RetryAfter, try.Job = 503, code, retryAfter, ""
	h.Submissions = append(h.Submissions, try)
}

func TestInvariant2(t *testing.T) {
	t.Parallel()
	objects(t, 2, []doctored{
		{"a status changes", func(h *History) { h.Sightings[1].Status = failed }, "is succeeded"},
		{"a result changes", func(h *History) {
			h.Sightings = append(h.Sightings, Sighting{Job: "first", Sent: at(50), Answered: at(50), Status: succeeded, Outcome: "other"})
		}, "two outcomes"},
		{"a job comes back", func(h *History) {
			h.Sightings = append(h.Sightings, Sighting{Job: "first", Sent: at(50), Answered: at(50), Status: "running"})
		}, "and running after that"},
		{"a stale worker finishes", func(h *History) { h.Executions[2].Fence = 1 }, "while fence 2 was running"},
		{"an answer nobody gave", func(h *History) { h.Executions[0].Fence = 7 }, "not asked under it"},
		{"an answer to an earlier call", func(h *History) {
			h.Provider[0].Answer, h.Provider[2].Answer = "answer", "tried"
			h.Provider[3].Answer, h.Provider[4].Answer = "died", "another"
		}, "execution e-died has a result under fence 2 that is not the answer"},
	})
}

func TestInvariant3(t *testing.T) {
	t.Parallel()
	objects(t, 3, []doctored{
		{"two executions of a hash at once", func(h *History) {
			h.add("third", "e-twin", succeeded, "answer", 4)
			twin := &h.Executions[len(h.Executions)-1]
			twin.Hash = "hash of e-shared"
			h.Jobs[len(h.Jobs)-1].Hash = twin.Hash
			h.Provider = append(h.Provider, ProviderCall{Task: Task{"e-twin", 1}, Start: at(2), End: at(4), Outcome: "ok"})
		}, "two calls at once"},
		{"two fences at once", func(h *History) { h.Provider[2].Start = at(1.5) }, "two calls at once"},
		{"a call for nothing", func(h *History) { h.Provider[0].Execution = "e-unknown" }, "which is not there"},
		{"an attached job is left out", func(h *History) { h.Jobs[1].Status, h.Sightings[3].Status = failed, failed }, "its execution succeeded"},
		{"an attached job gets another answer", func(h *History) { h.Sightings[3].Outcome = "other" }, "another result"},
		{"a cancel reaches another's job", func(h *History) {
			h.Jobs[1].Status, h.Sightings[3].Status, h.Sightings[3].Outcome = cancelled, cancelled, ""
		}, "nobody asked for that"},
		{"a job expires early", func(h *History) { h.Jobs[5].Deadline = at(3600) }, "before its deadline"},
		{"an execution of another tenant", func(h *History) { h.Executions[0].Tenant = "beta" }, "another's"},
	})
}

func TestInvariant4(t *testing.T) {
	t.Parallel()
	objects(t, 4, []doctored{
		{"no event", func(h *History) { h.Events = h.Events[1:] }, "has 0 events"},
		{"two events", func(h *History) { h.Events = append(h.Events, h.Events[0]) }, "has 2 events"},
		{"the wrong event", func(h *History) { h.Events[0].Type = "job.failed" }, "its event job.failed"},
		{"an event of another tenant", func(h *History) { h.Events[0].Tenant = "beta" }, "of beta"},
		{"an event too early", func(h *History) { h.Jobs[0].Status = "running" }, "has not ended"},
		{"an event of nothing", func(h *History) { h.Events[0].Job = "nobody" }, "which is not there"},
		{"an event that reached nobody", func(h *History) { h.Deliveries = h.Deliveries[1:] }, "no webhook told of it"},
		{"an id with two bodies", func(h *History) {
			again := h.Deliveries[0]
			again.Body = "other"
			h.Deliveries = append(h.Deliveries, again)
		}, "two bodies"},
		{"a webhook that lies", func(h *History) { h.Deliveries[0].Type = "job.failed" }, "told of job.failed"},
		{"a webhook of nothing", func(h *History) { h.Deliveries[0].Job = "nobody" }, "which is not there"},
	})
}

func TestAnEventMayComeTwice(t *testing.T) {
	t.Parallel()
	h := good()
	h.Deliveries = append(h.Deliveries, h.Deliveries...)
	if got := Check(h); len(got) > 0 {
		t.Errorf("got %v, want no violation", got)
	}
}

func TestInvariant9(t *testing.T) {
	t.Parallel()
	objects(t, 9, []doctored{
		{"a webhook to another tenant", func(h *History) { h.Deliveries[0].Tenant = "beta" }, "told beta"},
	})
}

func TestInvariant5(t *testing.T) {
	t.Parallel()
	objects(t, 5, []doctored{
		{"a call is repeated without a death", func(h *History) { h.Faults[0].Held = nil }, "nor been in flight on a worker that died"},
		{"a success is repeated", func(h *History) { h.Calls[1].Status = "success" }, "was called again"},
		{"a worker asks late that was not silent", func(h *History) {
			h.Faults[0].Held, h.Provider[3].Start, h.Provider[3].End = nil, at(11), at(13)
		}, "was called again under fence 1"},
		{"a silent worker asks again when it wakes up", func(h *History) {
			h.Provider = append(h.Provider, ProviderCall{Task: Task{"e-died", 1}, Start: at(11), End: at(13), Outcome: "ok"})
		}, "was called again under fence 1"},
		{"one fence, two calls", func(h *History) { h.Provider[2].Fence, h.Calls[1].Status = 1, "success" }, "asked twice"},
		{"a death uses up a try", func(h *History) { h.Executions[2].Tries, h.Jobs[3].Tries = 1, 1 }, "used up 1 tries"},
		{"a failure is not counted", func(h *History) { h.Executions[1].Tries, h.Jobs[2].Tries = 0, 0 }, "used up 0 tries"},
		{"a 429 uses up a try", func(h *History) { h.Calls[1].Class, h.Calls[1].Try = "rate_limited", false }, "used up 1 tries"},
		{"a job says another number", func(h *History) { h.Jobs[2].Tries = 4 }, "says 4 tries"},
		{"a failure with tries left", func(h *History) { h.fail("server_error") }, "after 1 tries"},
		{"poisoned after one death", func(h *History) { h.fail("poisoned") }, "is poisoned after 0 deaths"},
		{"a call stays open", func(h *History) { h.Calls[0].Status = "" }, "never closed"},
		{"a cancelled call stays open", func(h *History) { h.Calls[5].Status, h.Provider[5].End = "", at(1.5) }, "never closed"},
	})
}

// TestWhatFailsInAnOutageMayUseNoTry: of two calls that failed so, one may have.
func TestWhatFailsInAnOutageMayUseNoTry(t *testing.T) {
	t.Parallel()
	h := good()
	h.Calls = append(h.Calls, Call{Task: Task{"e-late", 1}, Status: "failure", Class: "server_error", Try: true, Outage: true})
	h.Executions[1].Tries, h.Jobs[2].Tries = 0, 0
	if got := Check(h); len(got) != 0 {
		t.Errorf("got %v, want nothing broken", got)
	}
}

// fail makes the third job end failed.
func (h *History) fail(code string) {
	h.Jobs[2].Status, h.Jobs[2].Error = failed, code
	h.Executions[1].Status, h.Executions[1].Error = failed, code
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	m := Measure(good())
	if m.InFlight != 1 || m.Repeated != 1 || Max(m.Elsewhere) != 6*time.Second {
		t.Errorf("in flight %d, repeated %d after %v, want 1, 1 and 6 s after the death", m.InFlight, m.Repeated, m.Elsewhere)
	}
	if m.Late != 0 || len(m.Resumed) != 0 || len(m.Refused) != 0 {
		t.Errorf("late %d, resumed %v, refused %v, want none", m.Late, m.Resumed, m.Refused)
	}
	if Median(m.Healed) != time.Second || m.Ended[succeeded] != 4 || m.AtOnce != 2 {
		t.Errorf("healed after %v, %v, %d at once, want 1 s, 4 succeeded and 2", m.Healed, m.Ended, m.AtOnce)
	}
	h := good()
	h.Faults = append(h.Faults, Fault{Name: "cut-postgres", From: at(24), To: at(30.5), StoreAway: true})
	if m := Measure(h); Median(m.Healed) != 500*time.Millisecond || len(m.Healed) != 1 {
		t.Errorf("with an outage that lasts longer: healed after %v, want half a second after its end", m.Healed)
	}
}
