package history

import "testing"

// batched is a good history with a batch of five lines: two share a call, one is refused by
// the provider, and when the batch was cancelled one was a job and one not yet.
func batched() History {
	h := good()
	h.line("one", "e-line", succeeded, "said")
	h.line("two", "e-line", succeeded, "said")
	h.line("wrong", "e-wrong", failed, refused)
	last := len(h.Jobs) - 1
	wrong := &h.Executions[len(h.Executions)-1]
	h.Jobs[last-1].Deduplicated = true
	h.Jobs[last].Error, h.Jobs[last].Tries = refused, 1
	wrong.Fence, wrong.Status, wrong.Error, wrong.Tries, wrong.Finished = 1, failed, refused, 1, at(3)
	h.line("left", "e-queued", cancelled, "")
	h.Calls = append(h.Calls,
		Call{Task: Task{"e-line", 1}, Status: "success"},
		Call{Task: Task{"e-wrong", 1}, Status: "failure", Class: refused, Try: true, Final: true})
	h.Provider = append(h.Provider,
		ProviderCall{Task: Task{"e-line", 1}, Start: at(1), End: at(3), Outcome: "ok"},
		ProviderCall{Task: Task{"e-wrong", 1}, Start: at(1), End: at(3), Outcome: refused})
	h.Batches = []Batch{{
		Name: "monday", Tenant: "acme", Cancelled: true,
		Lines: []Line{{CustomID: "one"}, {CustomID: "two"}, {CustomID: "wrong", Wrong: true}, {CustomID: "left"}, {CustomID: "late"}},
	}}
	h.BatchSubmissions = []Submission{{
		Key: "monday", Tenant: "acme", API: "api-0", Sent: at(0), Answered: at(0.5), Status: 202, Job: "b-monday",
	}}
	h.Kept = []KeptBatch{{
		ID: "b-monday", Tenant: "acme", Name: "monday", Status: cancelled,
		Counts: Counts{Total: 5, Succeeded: 2, Failed: 1, Cancelled: 2, Deduplicated: 1},
		Results: []Answer{
			{CustomID: "one", Status: succeeded, Job: "j-one", Outcome: "said"},
			{CustomID: "two", Status: succeeded, Job: "j-two", Outcome: "said"},
			{CustomID: "wrong", Status: failed, Job: "j-wrong", Outcome: refused},
			{CustomID: "left", Status: cancelled, Job: "j-left", Outcome: cancelled},
			{CustomID: "late", Status: cancelled, Outcome: "batch_cancelled"},
		},
		Output: []string{"one", "two"}, Errors: []string{"wrong", "left", "late"},
	}}
	h.BatchSightings = []BatchSighting{
		{Batch: "b-monday", Status: "validating"},
		{
			Batch: "b-monday", Status: "in_progress", Counts: Counts{Total: 5, Pending: 2, Live: 2, Succeeded: 1},
			Results: []Answer{{CustomID: "one", Status: succeeded, Job: "j-one", Outcome: "said"}},
		},
		{Batch: "b-monday", Status: cancelled, Counts: h.Kept[0].Counts, Results: h.Kept[0].Results},
	}
	h.Deliveries = append(h.Deliveries, Delivery{
		ID: "d-monday", Body: "monday", Tenant: "acme", Type: "batch.cancelled", Batch: "b-monday",
	})
	return h
}

// line adds the job of a line.
func (h *History) line(id, execution, status, outcome string) {
	h.add("j-"+id, execution, status, outcome, 3)
	h.Submissions, h.Sightings = h.Submissions[:len(h.Submissions)-1], h.Sightings[:len(h.Sightings)-2]
	h.Deliveries = h.Deliveries[:len(h.Deliveries)-1]
	j := &h.Jobs[len(h.Jobs)-1]
	j.Key, j.Batch = "penstock batch "+id, "b-monday"
}

// again adds the nth line of the results once more.
func (h *History) again(n int) {
	h.Kept[0].Results = append(h.Kept[0].Results, h.Kept[0].Results[n])
}

// without takes a line that was answered out of the results, the counts and the files.
func (h *History) without(line string) {
	b := &h.Kept[0]
	for i, a := range b.Results {
		if a.CustomID == line {
			b.Results = append(b.Results[:i:i], b.Results[i+1:]...)
		}
	}
	b.Output = []string{"two"}
	b.Counts.Total, b.Counts.Succeeded = b.Counts.Total-1, b.Counts.Succeeded-1
}

func TestGoodBatch(t *testing.T) {
	t.Parallel()
	h := batched()
	h.Deliveries = append(h.Deliveries, h.Deliveries[len(h.Deliveries)-1]) // at least once
	for _, v := range Check(h) {
		t.Errorf("a good history is objected to: %s", v)
	}
}

func TestMeasureOfBatches(t *testing.T) {
	t.Parallel()
	if m := Measure(batched()); m.Batches != 1 || m.Lines != 5 {
		t.Errorf("%d batches of %d lines, want 1 and 5", m.Batches, m.Lines)
	}
}

// Of a submission whose answer was lost, and which nobody repeats, the batch may be there,
// whole, or not at all.
func TestABatchThatNobodyWasToldOf(t *testing.T) {
	t.Parallel()
	h := batched()
	h.BatchSubmissions[0].Status, h.BatchSubmissions[0].Job = 0, ""
	h.Faults = append(h.Faults, Fault{Name: "kill-api", Process: "api-0", From: at(0.2), To: at(1)})
	for _, v := range Check(h) {
		t.Errorf("it is there: %s", v)
	}
	gone := good()
	gone.Batches, gone.BatchSubmissions, gone.Faults = h.Batches, h.BatchSubmissions, h.Faults
	for _, v := range Check(gone) {
		t.Errorf("it is not there: %s", v)
	}
}

// A history without jobs is that of a fleet into whose store nobody can look.
func TestABatchWithoutJobs(t *testing.T) {
	t.Parallel()
	whole := batched()
	h := History{Batches: whole.Batches, BatchSubmissions: whole.BatchSubmissions, Kept: whole.Kept, BatchSightings: whole.BatchSightings}
	for _, v := range Check(h) {
		t.Errorf("a good history is objected to: %s", v)
	}
	h.again(0)
	if len(Check(h)) == 0 {
		t.Error("a line that is there twice is not objected to")
	}
}

func TestInvariant1OfBatches(t *testing.T) {
	t.Parallel()
	objectsTo(t, batched, 1, []doctored{
		{"a batch is lost", func(h *History) { h.Kept = nil }, "monday was accepted as b-monday (202) and is lost"},
		{"a batch is another's", func(h *History) { h.Kept[0].Tenant = "beta" }, "asked for none such"},
		{"a batch nobody asked for", func(h *History) { h.Kept[0].Name = "tuesday" }, "asked for none such"},
		{"one submission, two batches", func(h *History) {
			twin := h.Kept[0]
			twin.ID = "b-twin"
			h.Kept = append(h.Kept, twin)
		}, "monday is there twice"},
		{"a batch of another id", func(h *History) { h.BatchSubmissions[0].Job = "b-other" }, "is lost"},
		{"a batch does not end", func(h *History) { h.Kept[0].Status = "in_progress" }, "monday is in_progress"},
		{"a good batch is failed", func(h *History) { h.Kept[0].Status = failed }, "monday is failed"},
		{"a batch is cancelled by nobody", func(h *History) { h.Batches[0].Cancelled = false }, "monday is cancelled"},
		{"a line is lost", func(h *History) { h.without("one") }, "line one is lost"},
		{"a line nobody sent", func(h *History) { h.Batches[0].Lines = h.Batches[0].Lines[1:] }, "line one is in the results and was not sent"},
		{"a batch is not there in between", func(h *History) { h.BatchSightings[0].Status = Missing }, "not there later"},
		{"a batch is gone", func(h *History) { h.BatchSightings[0].Batch = "b-gone" }, "was seen validating and is not there"},
		{"a submission is refused", func(h *History) { h.BatchSubmissions[0].Status, h.Kept = 500, nil }, "key monday: refused with 500"},
		{"an upload is refused", func(h *History) {
			h.Uploads = []Submission{{Key: "monday.jsonl", API: "api-0", Status: 500}}
		}, "key monday.jsonl: refused with 500"},
	})
}

func TestInvariant2OfBatches(t *testing.T) {
	t.Parallel()
	objectsTo(t, batched, 2, []doctored{
		{"a line is there twice", func(h *History) { h.again(0) }, "line one is in the results twice"},
		{"a line is counted twice", func(h *History) { h.Kept[0].Counts.Succeeded++ }, "counts {Total:5 Pending:0 Live:0 Succeeded:3"},
		{"a line is not counted", func(h *History) { h.Kept[0].Counts.Cancelled = 0 }, "its results list"},
		{"a line is counted as live", func(h *History) { h.Kept[0].Counts.Live = 1 }, "its results list"},
		{"a shared answer is not counted", func(h *History) { h.Kept[0].Counts.Deduplicated = 0 }, "counts 0 that were answered by another's call, and 1"},
		{"a file lacks a line", func(h *History) { h.Kept[0].Errors = []string{"wrong"} }, "2 answers and 1 errors"},
		{"a file has a line twice", func(h *History) { h.Kept[0].Output = []string{"one", "two", "two"} }, "3 answers"},
		{"a count shrinks", func(h *History) { h.BatchSightings[1].Counts.Succeeded = 3 }, "in the end"},
		{"a count changes after the end", func(h *History) { h.BatchSightings[2].Counts.Deduplicated = 0 }, "when it had ended"},
		{"a line is counted and not listed", func(h *History) { h.BatchSightings[1].Results = []Answer{} }, "its results had 0 lines after that"},
		{"an answer changes", func(h *History) { h.BatchSightings[1].Results[0].Outcome = "another" }, "line one was succeeded another"},
		{"an answer goes", func(h *History) { h.without("one") }, "line one was succeeded said"},
		{"two lines have one job", func(h *History) { h.Kept[0].Results[1].Job = "j-one" }, "is that of line one and of line two"},
		{"a line was made a job twice", func(h *History) {
			h.Batches[0].Cancelled = false
			h.line("ghost", "e-line", succeeded, "said")
		}, "job j-ghost is of batch b-monday, and no line's"},
		{"a line is not what its job is", func(h *History) { h.Jobs[len(h.Jobs)-4].Status = failed }, "line one is succeeded said, its job failed"},
		{"a line has another reason", func(h *History) { h.Jobs[len(h.Jobs)-2].Error = "timeout_total" }, "its job failed timeout_total"},
	})
}

func TestInvariant3OfBatches(t *testing.T) {
	t.Parallel()
	objectsTo(t, batched, 3, []doctored{
		{"a line's job is cancelled by nobody", func(h *History) { h.Batches[0].Cancelled = false }, "job j-left is cancelled and nobody asked"},
		{"a line's job is not there", func(h *History) { h.Kept[0].Results[0].Job = "j-gone" }, "is not there, or another's"},
		{"a line's job is no line's", func(h *History) { h.Jobs[len(h.Jobs)-4].Batch = "" }, "is not there, or another's"},
		{"a line has another answer", func(h *History) { h.Kept[0].Results[0].Outcome = "another" }, "another result than its execution's"},
	})
}

func TestInvariant4OfBatches(t *testing.T) {
	t.Parallel()
	last := func(h *History) *Delivery { return &h.Deliveries[len(h.Deliveries)-1] }
	objectsTo(t, batched, 4, []doctored{
		{"nobody is told", func(h *History) { h.Deliveries = h.Deliveries[:len(h.Deliveries)-1] }, "no webhook told of it"},
		{"a webhook that lies", func(h *History) { last(h).Type = "batch.completed" }, "told of batch.completed"},
		{"a webhook of nothing", func(h *History) { last(h).Batch = "b-gone" }, "batch b-gone, which is not there"},
		{"two events", func(h *History) {
			again := *last(h)
			again.ID = "d-again"
			h.Deliveries = append(h.Deliveries, again)
		}, "has two events"},
		{"an event with two bodies", func(h *History) {
			again := *last(h)
			again.Body = "other"
			h.Deliveries = append(h.Deliveries, again)
		}, "two bodies"},
		{"a webhook of a line", func(h *History) {
			h.Deliveries = append(h.Deliveries, Delivery{ID: "d-line", Body: "line", Tenant: "acme", Type: "job.succeeded", Job: "j-one"})
		}, "which is a line of batch b-monday"},
	})
	objectsTo(t, batched, 9, []doctored{
		{"another tenant is told", func(h *History) { last(h).Tenant = "beta" }, "told beta of batch monday"},
	})
}

// A line that is wrong may have been on the way to the provider each time somebody died.
func TestAWrongLineMayBePoisoned(t *testing.T) {
	t.Parallel()
	h := batched()
	last := len(h.Jobs) - 2
	h.Kept[0].Results[2].Outcome, h.Jobs[last].Error = poisoned, poisoned
	for i, e := range h.Executions {
		if e.ID == "e-wrong" {
			h.Executions[i].Error = poisoned
		}
	}
	h.Faults = append(h.Faults, Fault{Held: []Task{{"e-wrong", 1}, {"e-wrong", 2}, {"e-wrong", 3}}})
	for _, v := range Check(h) {
		t.Errorf("it is objected to: %s", v)
	}
}

func TestInvariant5OfBatches(t *testing.T) {
	t.Parallel()
	objectsTo(t, batched, 5, []doctored{
		{"a line that is wrong succeeds", func(h *History) {
			h.Kept[0].Results[2].Status, h.Kept[0].Results[2].Outcome = succeeded, "said"
		}, "want what the provider says of it"},
		{"a line that is wrong fails otherwise", func(h *History) { h.Kept[0].Results[2].Outcome = "server_error" }, "want what the provider says of it"},
		{"a line that is right is refused", func(h *History) { h.Batches[0].Lines[2].Wrong = false }, "failed bad_request for no reason"},
		{"a line fails and was never asked for", func(h *History) {
			h.Kept[0].Results[0] = Answer{CustomID: "one", Status: failed, Outcome: "input_unreadable"}
		}, "line one is failed input_unreadable for no reason"},
		{"a line expires", func(h *History) { h.Kept[0].Results[4].Status = expired }, "line late is expired"},
		{"a line is refused after a failure that is not final", func(h *History) { h.Calls[len(h.Calls)-1].Final = false }, "failed (bad_request) after 1 tries"},
	})
}
