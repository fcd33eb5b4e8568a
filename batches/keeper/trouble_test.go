package keeper_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/batches/keeper"
	"github.com/penstock-dev/penstock/jobs"
)

// counting kills its process at the nth time something is done, when it is done.
type counting struct {
	left atomic.Int64
	dead *cut
}

func (c *counting) count() {
	if c.left.Add(-1) == 0 {
		c.dead.set(true)
	}
}

type dyingStore struct {
	cutStore
	at *counting
}

func (s dyingStore) AppendLines(ctx context.Context, holder, batch uuid.UUID, from, to batches.Cursor, lines []batches.Line) error {
	err := s.Store.AppendLines(ctx, holder, batch, from, to, lines)
	if s.at.count(); s.cut.is() {
		return errCut
	}
	return err
}

type dyingJobs struct {
	cutJobs
	at *counting
}

func (j dyingJobs) Submit(ctx context.Context, n jobs.NewJob) (jobs.Submitted, error) {
	done, err := j.cutJobs.Submit(ctx, n)
	j.at.count()
	return done, err
}

// long returns lines of which a page has few.
func long(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = line(fmt.Sprint("c", i), "m", fmt.Sprint("p", i, strings.Repeat(" and so on", 5000)))
	}
	return all
}

// Of two processes one is killed while it reads the input: the other goes on where it
// was.
func TestAKillWhileReading(t *testing.T) {
	bubble(t, 50, func(s *stage) {
		t := s.t
		s.keep(func(c *keeper.Config, dead *cut) {
			at := &counting{dead: dead}
			at.left.Store(2)
			c.Store = dyingStore{cutStore{s.store, dead}, at}
		})
		b := s.create(long(100))
		s.until(b, "read in part", func(b batches.Batch) bool { return b.Read.Lines > 20 })
		died := time.Now()
		s.keep()
		b = s.ended(b)
		if took := b.StartedAt.Sub(died); took > batches.LeaseTime+2*time.Second {
			t.Errorf("it was gone on with after %v", took)
		}
		if _, n := s.called(); n != 100 || b.Counts != (batches.Counts{Total: 100, Succeeded: 100}) || len(s.answers(b)) != 100 {
			t.Errorf("%d calls, and %+v", n, b.Counts)
		}
	})
}

// Whoever goes on with reading knows the ids of the lines before.
func TestAnIdThatWasThereBeforeAKill(t *testing.T) {
	bubble(t, 50, func(s *stage) {
		t := s.t
		s.keep(func(c *keeper.Config, dead *cut) {
			at := &counting{dead: dead}
			at.left.Store(2)
			c.Store = dyingStore{cutStore{s.store, dead}, at}
		})
		all := long(100)
		all[99] = line("c0", "m", "the same id")
		b := s.create(all)
		s.until(b, "read in part", func(b batches.Batch) bool { return b.Read.Lines > 20 })
		s.keep()
		b = s.ended(b)
		if b.Status != batches.StatusFailed || len(b.Problems) != 1 || b.Problems[0].Line != 100 || b.Problems[0].Code != batches.CodeDuplicateCustomID {
			t.Errorf("got %s with the problems %+v", b.Status, b.Problems)
		}
	})
}

// Of two processes one is killed when it has made some lines jobs and not noted it: the
// other makes no job twice.
func TestAKillWhileFeeding(t *testing.T) {
	t.Parallel()
	for _, after := range []int64{1, 64, 150} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			bubble(t, 20, func(s *stage) {
				t := s.t
				first := s.keep(func(c *keeper.Config, dead *cut) {
					at := &counting{dead: dead}
					at.left.Store(after)
					c.Jobs = dyingJobs{cutJobs{s.jobs, dead}, at}
				})
				b := s.create(lines(200, "m"))
				for !first.dead.is() {
					time.Sleep(10 * time.Millisecond)
				}
				s.keep()
				b = s.ended(b)
				if _, n := s.called(); n != 200 || b.Counts != (batches.Counts{Total: 200, Succeeded: 200}) || len(s.answers(b)) != 200 {
					t.Errorf("%d calls, and %+v", n, b.Counts)
				}
				made, _, err := s.jobs.List(t.Context(), jobs.JobQuery{Tenant: "acme", Batch: b.ID, Limit: 500})
				s.must(err)
				if len(made) != 200 {
					t.Errorf("%d jobs were made for 200 lines", len(made))
				}
			})
		})
	}
}

// What keeps a batch from being worked on, a panic or a file that cannot be read, is that
// batch's own matter.
func TestAPoisonedBatch(t *testing.T) {
	bubble(t, 20, func(s *stage) {
		t := s.t
		var panics atomic.Int64
		s.keep(func(c *keeper.Config, dead *cut) {
			c.Jobs = poisoned{cutJobs{s.jobs, dead}}
			c.Observer.Panicked = func(_ uuid.UUID, kind string, _ []byte) { panics.Add(int64(len(kind) / len("string"))) }
			c.Observer.Error = nil
			c.Open = func(ctx context.Context, b batches.Batch) (io.ReaderAt, int64, error) {
				if b.Metadata["file"] != "" {
					return nil, 0, &jobs.Error{Code: jobs.CodeErased, Message: "the key is gone"}
				}
				return s.open(ctx, b)
			}
		})
		named := func(what string) func(*batches.New) {
			return func(n *batches.New) { n.Metadata = map[string]string{"file": what} }
		}
		erased := s.create(lines(3, "m"), named("gone"))
		checked := s.create([]string{line("a", "m", "ok"), line("b", "m", "poison in check")})
		submitted := s.create([]string{line("a", "m", "fine"), line("b", "m", "poison in submit")}, func(n *batches.New) { n.Window = "1m" })
		good := s.create(lines(10, "m"))
		if b := s.ended(good); b.Counts.Succeeded != 10 || b.EndedAt.Sub(b.CreatedAt) > 10*time.Second {
			t.Errorf("the good one: %+v after %v", b.Counts, b.EndedAt.Sub(b.CreatedAt))
		}
		if b := s.ended(erased); b.Status != batches.StatusFailed || len(b.Problems) != 1 || b.Problems[0].Code != batches.CodeInputUnreadable {
			t.Errorf("the one whose file is gone: %s, %+v", b.Status, b.Problems)
		}
		if b := s.ended(checked); b.Status != batches.StatusFailed || b.Problems[0].Line != 2 || b.Problems[0].Code != batches.CodeUnchecked {
			t.Errorf("the one that cannot be checked: %s, %+v", b.Status, b.Problems)
		}
		if b := s.ended(submitted); b.Status != batches.StatusExpired || b.Counts.Succeeded != 1 || b.Counts.Expired != 1 {
			t.Errorf("the one that cannot be submitted: %s, %+v", b.Status, b.Counts)
		}
		if panics.Load() < 2 {
			t.Errorf("told of %d panics", panics.Load())
		}
	})
}

// poisoned jobs panic over some requests.
type poisoned struct{ cutJobs }

func (j poisoned) Check(n jobs.NewJob) ([32]byte, error) {
	if strings.Contains(string(n.Request), "poison in check") {
		panic("poison")
	}
	return j.cutJobs.Check(n)
}

func (j poisoned) Submit(ctx context.Context, n jobs.NewJob) (jobs.Submitted, error) {
	if strings.Contains(string(n.Request), "poison in submit") {
		panic("poison")
	}
	return j.cutJobs.Submit(ctx, n)
}

// A line that was good when it was read and is refused when it is to be a job has failed,
// and so has one that can be read no more; the others run.
func TestLinesThatAreRefusedLater(t *testing.T) {
	bubble(t, 20, func(s *stage) {
		t := s.t
		var reads atomic.Int64
		s.keep(func(c *keeper.Config, dead *cut) {
			c.Jobs = refusing{cutJobs{s.jobs, dead}}
			c.Open = func(ctx context.Context, b batches.Batch) (io.ReaderAt, int64, error) {
				if reads.Add(1) > 1 && b.Metadata["file"] != "" {
					return nil, 0, &jobs.Error{Code: jobs.CodeErased, Message: "the key is gone"}
				}
				return s.open(ctx, b)
			}
		})
		b := s.ended(s.create(lines(30, "m"), func(n *batches.New) { n.Metadata = map[string]string{"file": "gone later"} }))
		if b.Status != batches.StatusCompleted || b.Counts.Failed != 30 || s.answers(b)["c0"].Code != batches.CodeInputUnreadable {
			t.Errorf("the file is gone: %s, %+v", b.Status, b.Counts)
		}
		b = s.ended(s.create(lines(30, "m")))
		if a := s.answers(b)["c7"]; b.Counts.Failed != 1 || b.Counts.Succeeded != 29 || a.Code != string(jobs.CodeUnknownModel) {
			t.Errorf("one is refused: %+v, and it has the code %q", b.Counts, a.Code)
		}
	})
}

type refusing struct{ cutJobs }

func (j refusing) Submit(ctx context.Context, n jobs.NewJob) (jobs.Submitted, error) {
	if strings.Contains(string(n.Request), `"p7"`) {
		return jobs.Submitted{}, &jobs.Error{Code: jobs.CodeUnknownModel, Message: "no such model"}
	}
	return j.cutJobs.Submit(ctx, n)
}
