package e2e

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startKilling starts a Penstock whose processes are killed: an API and a worker, or one
// that is both.
func startKilling(t *testing.T, embedded bool, s setup) *round {
	t.Helper()
	s.apis, s.workers, s.webhooks = 1, 1, true
	start := startFleet
	if embedded {
		start = startOne
	}
	f := start(t, s)
	r := &round{fleet: f, traffic: newTraffic(f, plan{seed: 1, hurry: 1}), ledger: ledger{f.database}, receiver: newReceiver(t, 1)}
	r.hook()
	return r
}

// dies kills a process and starts it again; meanwhile is called while it is dead.
func (r *round) dies(on string, meanwhile func()) {
	r.t.Helper()
	killNode(r, strike{kind: kindNamed("kill-" + on), restart: true})()
	meanwhile()
	for _, revive := range r.revivals {
		revive()
	}
	r.revivals = nil
}

// submits submits a batch and returns it once it is accepted.
func (r *round) submits(o order) knownBatch {
	r.t.Helper()
	r.insistBatch(r.t.Context(), o)
	if len(r.batches) == 0 {
		r.t.Fatalf("%s was not accepted", o.Name)
	}
	return r.batches[len(r.batches)-1]
}

// sees looks at a batch, again and again, until it is such a one.
func (r *round) sees(b knownBatch, what string, such func(toldBatch) bool) toldBatch {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	var last toldBatch
	for ; ctx.Err() == nil; pause(ctx, 2*time.Millisecond) {
		told, status, err := r.batch(ctx, r.apis[0], b)
		if err != nil || status != http.StatusOK {
			continue
		}
		if last = told; such(told) {
			return told
		}
	}
	r.t.Fatalf("%s: not within a minute; it is %s with %+v", what, last.Status, last.Counts)
	return last
}

// proves waits until all batches have ended, and checks all that was seen.
func (r *round) proves() {
	r.t.Helper()
	for _, b := range r.batches {
		r.sees(b, "the end of a batch", toldBatch.done)
	}
	r.errands.Wait()
	r.check()
}

// deaths is how often a process is killed in the middle of one thing.
func deaths() int {
	if *chaosSeeds == "" {
		return 1
	}
	return 4
}

// victims are who is killed: a worker reads and runs batches.
var victims = map[string]struct {
	on       string
	embedded bool
}{"worker": {on: "worker"}, "embedded": {on: "api", embedded: true}}

// Invariant 1 for a batch that is being read: whoever reads it is killed, and the next one
// goes on.
func TestInvariant1KilledWhileABatchIsRead(t *testing.T) {
	t.Parallel()
	for name, victim := range victims {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startKilling(t, victim.embedded, setup{concurrency: 40, faults: `{"latency": "20ms", "sigma": 0.3, "per_token": "1ms"}`})
			o := drawBatch(rand.New(rand.NewPCG(1, 1)), "read", 400)
			o.way, o.blanks = uploaded, 64<<10
			b := r.submits(o)
			read := 0
			for range deaths() {
				before := r.sees(b, "reading", func(b toldBatch) bool { return b.Read.Lines > read || b.Status != "validating" })
				r.dies(victim.on, func() {})
				after := r.sees(b, "a batch", func(toldBatch) bool { return true })
				if read = after.Read.Lines; after.Status != "validating" || read >= len(o.Lines) {
					t.Fatalf("killed at %+v, and it is %s at %+v: too late to prove anything", before.Read, after.Status, after.Read)
				}
				t.Logf("killed when %d lines of %d had been read", read, len(o.Lines))
			}
			r.proves()
		})
	}
}

// Invariant 1 for a batch that runs: whoever runs it is killed, and its lines end once.
func TestInvariant1KilledWhileABatchRuns(t *testing.T) {
	t.Parallel()
	for name, victim := range victims {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startKilling(t, victim.embedded, setup{concurrency: 20, faults: slow})
			o := drawBatch(rand.New(rand.NewPCG(1, 2)), "run", 240)
			o.concurrency = 40 // so that lines are made jobs all the time
			b := r.submits(o)
			ended := 0
			for range deaths() {
				r.sees(b, "some more lines", func(b toldBatch) bool { return b.ended() > ended+20 })
				r.dies(victim.on, func() {})
				after := r.sees(b, "a batch", func(toldBatch) bool { return true })
				if ended = after.ended(); after.Status != "in_progress" || ended >= len(o.Lines) {
					t.Fatalf("it was %s with %+v: too late to prove anything", after.Status, after.Counts)
				}
				t.Logf("killed when %d lines of %d had ended, with %d under way", ended, len(o.Lines), after.Counts.Live)
			}
			r.proves()
		})
	}
}

// Invariant 1 for a batch whose lines are being made jobs: the worker is killed between
// the jobs and the note of whose they are, and no line is made another job.
func TestInvariant1KilledWhileLinesBecomeJobs(t *testing.T) {
	t.Parallel()
	r := startKilling(t, false, setup{concurrency: 40, faults: slow})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	db, err := pgx.Connect(ctx, r.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(ctx))
	made := func(b knownBatch) (jobs, noted int) {
		t.Helper()
		const sql = `SELECT (SELECT count(*) FROM jobs WHERE batch_id = $1),
			(SELECT count(*) FROM batch_lines WHERE batch_id = $1 AND job_id IS NOT NULL)`
		if err := db.QueryRow(ctx, sql, b.id).Scan(&jobs, &noted); err != nil {
			t.Fatal(err)
		}
		return jobs, noted
	}
	const lines = 120
	draws := rand.New(rand.NewPCG(1, 5))
	for try, hits := 0, 0; hits < deaths(); try++ {
		b := r.submits(drawBatch(draws, "fed-"+strconv.Itoa(try), lines))
		jobs, noted := made(b)
		for jobs == noted && noted < lines {
			jobs, noted = made(b)
		}
		r.dies("worker", func() { jobs, noted = made(b) })
		t.Logf("killed with %d jobs, of which %d were known to be lines", jobs, noted)
		if jobs > noted {
			hits++
		} else if try-hits == 5 {
			t.Fatal("too late again and again to prove anything")
		}
	}
	r.proves()
}

// Invariant 1 for a client that reads while a batch runs: the API is killed, and the
// client goes on behind the last line that it has.
func TestInvariant1KilledWhileABatchIsFollowed(t *testing.T) {
	t.Parallel()
	r := startKilling(t, false, setup{concurrency: 20, faults: slow})
	o := drawBatch(rand.New(rand.NewPCG(1, 3)), "followed", 160)
	b := r.submits(o)
	seen, last, killed := map[string]int{}, 0, 0
	for over := false; !over; {
		before := killed
		err := r.follow(b, last, func(id string, seq int) {
			seen[id]++
			if last = seq; killed < deaths() && len(seen) >= 20*(killed+1) {
				killed++
				r.dies("api", func() {})
			}
		})
		if over = err == nil; over && killed > before {
			t.Error("a stream that a kill cut came to an end like any other")
		}
		if t.Context().Err() != nil || len(seen) > len(o.Lines) {
			t.Fatalf("%d lines were read (%v), want %d", len(seen), err, len(o.Lines))
		}
	}
	for _, l := range o.Lines {
		if seen[l.CustomID] != 1 {
			t.Errorf("line %s was read %d times", l.CustomID, seen[l.CustomID])
		}
	}
	r.proves()
}

// follow reads the lines of a batch as they end, behind one of them, until it has.
func (r *round) follow(b knownBatch, after int, each func(customID string, seq int)) error {
	type line struct {
		CustomID string `json:"custom_id"`
		Seq      int    `json:"seq"`
	}
	path := "/v1/job-batches/" + b.id + "/results?order=finished&follow=true&after=" + strconv.Itoa(after)
	return readLines(r.t.Context(), r.fleet, r.apis[0], path, b.tenant, func(l line) { each(l.CustomID, l.Seq) })
}

// Invariant 1 for a batch that is being submitted: the API is killed at one moment after
// another, and with its answer. The batch is there, whole, or it is not; who repeats the
// submission has one.
func TestInvariant1KilledWhileABatchIsSubmitted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		embedded bool
		// moments are how many there are for each way to submit.
		moments int
	}{"api": {moments: 2 * deaths()}, "embedded": {embedded: true, moments: deaths()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startKilling(t, c.embedded, setup{concurrency: 40, faults: `{"latency": "20ms", "sigma": 0.3, "per_token": "1ms"}`})
			draws := rand.New(rand.NewPCG(1, 4))
			var all []order
			next := func(w way) order {
				o := drawBatch(draws, "submitted-"+strconv.Itoa(len(all)), 40)
				o.way, o.blanks = w, 64<<10
				all = append(all, o)
				return o
			}
			for w := range ways {
				r.losesFirstAnswers()
				r.submits(next(w))
				r.loses = nil
				begun := time.Now()
				r.submits(next(w))
				took := time.Since(begun)
				for i := range c.moments {
					r.diesOver(next(w), took*time.Duration(i+1)/time.Duration(c.moments+1), i%2 == 0)
				}
			}
			r.proves()
			r.filesAreWhole(all)
			t.Logf("%d batches were submitted, of %d the client was told", len(all), len(r.batches))
		})
	}
}

// losesFirstAnswers has the API killed with the first answer to each request: what was
// asked for is done, and the client does not know.
func (r *round) losesFirstAnswers() {
	asked := map[string]bool{}
	r.loses = func(key string) bool {
		if asked[key] {
			return false
		}
		asked[key] = true
		r.dies("api", func() {})
		return true
	}
}

// diesOver kills the API when a submission has been under way for so long.
func (r *round) diesOver(o order, after time.Duration, insists bool) {
	r.t.Helper()
	ctx, giveUp := context.WithTimeout(r.t.Context(), time.Minute)
	defer giveUp()
	var submitting sync.WaitGroup
	submitting.Go(func() { r.insistBatch(ctx, o) })
	pause(ctx, after)
	r.dies("api", func() {
		if !insists {
			giveUp()
			submitting.Wait()
		}
	})
	submitting.Wait()
}

// filesAreWhole: a file that is listed is all of one that was uploaded.
func (r *round) filesAreWhole(all []order) {
	r.t.Helper()
	sizes := map[string]int{}
	for _, o := range all {
		sizes[o.Name+".jsonl"] = len(o.file())
	}
	for _, tenant := range tenants {
		var list struct {
			Data []struct {
				Filename string `json:"filename"`
				Bytes    int    `json:"bytes"`
			} `json:"data"`
		}
		status, err := r.askInto(r.t.Context(), r.apis[0], &list, http.MethodGet, "/v1/files?purpose=batch", "", "Penstock-Tenant", tenant)
		if err != nil || status != http.StatusOK {
			r.t.Fatalf("list files: %d, %v", status, err)
		}
		for _, f := range list.Data {
			if size, ok := sizes[f.Filename]; ok && size != f.Bytes {
				r.t.Errorf("%s has %d bytes, and was uploaded with %d", f.Filename, f.Bytes, size)
			}
		}
	}
}
