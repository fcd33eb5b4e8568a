package storagetest

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// BatchStore keeps jobs, batches of them, and what is told of both.
type BatchStore interface {
	WebhookStore
	files.Store
	batches.Store
}

// batchRule is one thing that every [batches.Store] does.
type batchRule struct {
	name  string
	check func(f *batchFixture)
}

// RunBatches checks what every [batches.Store] does, each rule in parallel on a fresh
// store: see [Run].
func RunBatches(t *testing.T, open func(t *testing.T) BatchStore) {
	t.Helper()
	for _, theme := range []struct {
		name  string
		rules []batchRule
	}{
		{"batch", batchRules()},
		{"lease", batchLeaseRules()},
		{"line", lineRules()},
		{"collect", collectRules()},
		{"end", batchEndRules()},
		{"retry", batchRetryRules()},
		{"file", batchFileRules()},
		{"input", batchInputRules()},
		{"answer", answerRules()},
		{"job", batchJobRules()},
		{"removal", batchRemovalRules()},
		{"race", batchRaceRules()},
	} {
		t.Run(theme.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range theme.rules {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					s := open(t)
					hooks := &hookFixture{fixture: newFixture(t, s), keys: s, hooks: s}
					inputs := &fileFixture{fixture: hooks.fixture, files: s}
					r.check(&batchFixture{hookFixture: hooks, inputs: inputs, batches: s, holder: newID(t)})
				})
			}
		})
	}
}

type batchFixture struct {
	*hookFixture

	inputs  *fileFixture
	batches batches.Store
	// holder is the keeper, unless a rule has several.
	holder uuid.UUID
}

type batchEdit func(b *batches.Batch)

// newBatch returns a batch with an hour to go, whose input is there.
func (f *batchFixture) newBatch(edits ...batchEdit) batches.Batch {
	f.t.Helper()
	b := batches.Batch{
		ID: newID(f.t), Tenant: tenant, Endpoint: providers.ChatCompletions,
		Output: newID(f.t), Errors: newID(f.t), Status: batches.StatusValidating,
		Window: "1h", CreatedAt: f.now, Deadline: f.at(time.Hour),
	}
	for _, edit := range edits {
		edit(&b)
	}
	b.Input = f.inputs.upload("lines", ownedBy(b.Tenant)).ID
	return b
}

// batch keeps a batch.
func (f *batchFixture) batch(edits ...batchEdit) batches.Batch {
	f.t.Helper()
	return f.create(f.newBatch(edits...))
}

func (f *batchFixture) create(b batches.Batch) batches.Batch {
	f.t.Helper()
	got, replayed, err := f.batches.CreateBatch(f.t.Context(), b, batches.Repeat{})
	f.must(err, "create a batch")
	equal(f.fixture, replayed, false, "replayed")
	return got
}

// batchNow returns a batch as it is.
func (f *batchFixture) batchNow(b batches.Batch) batches.Batch {
	f.t.Helper()
	got, err := f.batches.Batch(f.t.Context(), b.Tenant, b.ID)
	f.must(err, "read a batch")
	return got
}

// leaseBatches takes what holder may have, up to 100.
func (f *batchFixture) leaseBatches(holder uuid.UUID) []batches.Batch {
	f.t.Helper()
	got, err := f.batches.LeaseBatches(f.t.Context(), holder, 100)
	f.must(err, "lease batches")
	return got
}

// holds leases all batches that are free for the fixture's holder.
func (f *batchFixture) holds() {
	f.t.Helper()
	f.leaseBatches(f.holder)
}

// held has the fixture's holder go on holding a batch, however slow the machine is: leases
// are of real time.
func (f *batchFixture) held(b batches.Batch) {
	f.t.Helper()
	renewed, err := f.batches.RenewBatches(f.t.Context(), f.holder, []uuid.UUID{b.ID})
	f.must(err, "renew a batch")
	if len(renewed) == 0 {
		f.holds()
	}
}

// line returns the nth line of a batch.
func line(n int) batches.Line {
	return batches.Line{
		N: n, CustomID: "request-" + strconv.Itoa(n), Offset: int64(n-1) * 100, Length: 99,
		Hash: sha256.Sum256([]byte(strconv.Itoa(n))), Repeat: n%3 == 0, State: batches.LinePending,
	}
}

// appendTo keeps the next n lines of a batch.
func (f *batchFixture) appendTo(b batches.Batch, n int) {
	f.t.Helper()
	f.held(b)
	from := f.batchNow(b).Read
	to := batches.Cursor{Lines: from.Lines + n, Bytes: int64(from.Lines+n) * 100}
	f.must(f.batches.AppendLines(f.t.Context(), f.holder, b.ID, from, to, linesBetween(from.Lines, to.Lines)), "append lines")
}

// linesBetween returns the lines after the one up to the other.
func linesBetween(after, last int) []batches.Line {
	var lines []batches.Line
	for n := after + 1; n <= last; n++ {
		lines = append(lines, line(n))
	}
	return lines
}

// begun keeps a batch of n lines that is in progress and the holder's.
func (f *batchFixture) begun(n int, edits ...batchEdit) batches.Batch {
	f.t.Helper()
	b := f.batch(edits...)
	f.holds()
	f.appendTo(b, n)
	return f.begin(b)
}

func (f *batchFixture) begin(b batches.Batch) batches.Batch {
	f.t.Helper()
	f.held(b)
	got, err := f.batches.BeginBatch(f.t.Context(), f.holder, b.ID, f.at(time.Second))
	f.must(err, "begin a batch")
	return got
}

func withBatch(b batches.Batch) edit { return func(s *jobs.Submission) { s.Job.Batch = b.ID } }

// elsewhere is where jobs wait that a rule leaves alone.
func elsewhere(s *jobs.Submission) { s.Request.Route = "elsewhere" }

// start notes that lines are jobs of their own, which stay live, and returns those.
func (f *batchFixture) start(b batches.Batch, ns ...int) []jobs.Job {
	f.t.Helper()
	var list []jobs.Job
	for _, n := range ns {
		list = append(list, f.submit(fmt.Sprint(b.ID, n), withBatch(b), elsewhere).Job)
	}
	f.startAs(b, ns, list...)
	return list
}

func (f *batchFixture) startAs(b batches.Batch, ns []int, list ...jobs.Job) {
	f.t.Helper()
	f.held(b)
	started := make([]batches.Started, len(ns))
	for i, n := range ns {
		started[i] = batches.Started{N: n, Job: list[i].ID}
	}
	f.must(f.batches.StartLines(f.t.Context(), f.holder, b.ID, started), "start lines")
}

// startEnded notes that a line is a job that ends so.
func (f *batchFixture) startEnded(b batches.Batch, n int, status jobs.Status) jobs.Job {
	f.t.Helper()
	j := f.endedAs(status, fmt.Sprint(b.ID, n), time.Duration(n)*time.Minute, withBatch(b))
	f.startAs(b, []int{n}, j)
	return j
}

// endedAs returns a job that ends so, that long after now.
func (f *batchFixture) endedAs(status jobs.Status, name string, after time.Duration, edits ...edit) jobs.Job {
	f.t.Helper()
	switch status {
	case jobs.StatusSucceeded:
		return f.answered(name, after, edits...)
	case jobs.StatusFailed:
		j, w, _ := f.running(name, edits...)
		f.finish(f.failure(w, f.at(after)))
		return f.job(j.ID)
	case jobs.StatusExpired:
		j := f.submit(name, append(edits, withDeadline(f.at(after)))...).Job
		f.expire(f.at(after))
		return f.job(j.ID)
	default:
		j := f.submit(name, edits...).Job
		got, _, err := f.store.Cancel(f.t.Context(), tenant, j.ID, f.at(after))
		f.must(err, "cancel")
		return got
	}
}

// collect collects what has ended of a batch, and fails the test unless it is that many.
func (f *batchFixture) collect(b batches.Batch, want int) batches.Batch {
	f.t.Helper()
	f.held(b)
	got, n, err := f.batches.CollectLines(f.t.Context(), f.holder, b.ID, 0, 1000)
	f.must(err, "collect lines")
	equal(f.fixture, n, want, "collected")
	f.same(got, f.batchNow(b), "batch as it is then")
	return got
}

// endLines ends the pending lines of a batch, and fails the test unless they are so many.
func (f *batchFixture) endLines(b batches.Batch, as batches.State, code string, want int) {
	f.t.Helper()
	f.held(b)
	n, err := f.batches.EndLines(f.t.Context(), f.holder, b.ID, as, code, nil, 10_000)
	f.must(err, "end lines")
	equal(f.fixture, n, want, "lines ended")
}

func (f *batchFixture) endBatch(b batches.Batch, as batches.Status) batches.Batch {
	f.t.Helper()
	f.held(b)
	f.must(f.batches.EndBatch(f.t.Context(), f.holder, b.ID, as, f.at(time.Hour), nil), "end a batch")
	return f.batchNow(b)
}

func (f *batchFixture) cancelBatch(b batches.Batch) batches.Batch {
	f.t.Helper()
	got, err := f.batches.CancelBatch(f.t.Context(), b.Tenant, b.ID, f.at(time.Minute))
	f.must(err, "cancel a batch")
	return got
}

// cancelled keeps a batch of n lines that was cancelled before any of them began.
func (f *batchFixture) cancelled(n int, edits ...batchEdit) batches.Batch {
	f.t.Helper()
	b := f.begun(n, edits...)
	f.cancelBatch(b)
	f.endLines(b, batches.LineCancelled, batches.CodeBatchCancelled, n)
	return f.endBatch(b, batches.StatusCancelled)
}

// lines lists all lines of a batch.
func (f *batchFixture) lines(b batches.Batch) []batches.Line {
	f.t.Helper()
	got, err := f.batches.Lines(f.t.Context(), b.ID, 0, 1000)
	f.must(err, "list lines")
	return got
}

// lineNow returns the nth line of a batch as it is.
func (f *batchFixture) lineNow(b batches.Batch, n int) batches.Line {
	f.t.Helper()
	got, err := f.batches.Lines(f.t.Context(), b.ID, n-1, 1)
	f.must(err, "read a line")
	if len(got) != 1 || got[0].N != n {
		f.t.Fatalf("line %d: got %+v", n, got)
	}
	return got[0]
}

// counts fails the test unless the batch has these counts, and its lines have them too.
func (f *batchFixture) counts(b batches.Batch, want batches.Counts) {
	f.t.Helper()
	equal(f.fixture, f.batchNow(b).Counts, want, "counts")
	states := map[batches.State]int{}
	for _, l := range f.lines(b) {
		states[l.State]++
	}
	got := map[batches.State]int{}
	for state, n := range map[batches.State]int{
		batches.LinePending: want.Pending, batches.LineLive: want.Live - states[batches.LineWithdrawn],
		batches.LineWithdrawn: states[batches.LineWithdrawn], batches.LineSucceeded: want.Succeeded,
		batches.LineFailed: want.Failed, batches.LineCancelled: want.Cancelled, batches.LineExpired: want.Expired,
	} {
		if n != 0 {
			got[state] = n
		}
	}
	if !reflect.DeepEqual(got, states) {
		f.t.Fatalf("lines by state: got %v, want %v as is counted", states, got)
	}
}

// batchIDs fails the test unless those batches are listed, in that order.
func (f *batchFixture) batchIDs(got []batches.Batch, want ...batches.Batch) {
	f.t.Helper()
	f.inOrder(batchIDs(got), batchIDs(want)...)
}

// lineNumbers fails the test unless the lines are those, in that order.
func (f *batchFixture) lineNumbers(got []batches.Line, want ...int) {
	f.t.Helper()
	ns := []int{}
	for _, l := range got {
		ns = append(ns, l.N)
	}
	f.same(ns, append([]int{}, want...), "lines")
}

// batchEvent returns an event of a batch's end.
func (f *batchFixture) batchEvent() *delivery.Event {
	f.t.Helper()
	e := f.event(func(e *delivery.Event) { e.Type, e.Data = "batch.completed", []byte(`{"id":"batch"}`) })
	return &e
}
