package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// newSubmission returns a job of a hash of its own, with an hour to go.
func newSubmission() jobs.Submission {
	job, execution := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	now := time.Now()
	return jobs.Submission{
		Job: jobs.Job{
			ID: job, Tenant: "acme", Endpoint: "/v1/chat/completions", Model: "default",
			Deadline: now.Add(time.Hour), CreatedAt: now, RequestHash: strings.Repeat("0", 32) + fmt.Sprintf("%x", job[:]),
		},
		Request:   jobs.Request{Endpoint: "/v1/chat/completions", Route: "default", Body: []byte(`{"a":1}`), Cost: 1},
		Execution: execution,
		Dedupe:    true,
	}
}

func submit(t testing.TB, s *Store) jobs.Job {
	t.Helper()
	got, err := s.Submit(t.Context(), newSubmission())
	if err != nil {
		t.Fatal(err)
	}
	return got.Job
}

// releaseOne releases the one execution that is ready.
func releaseOne(t testing.TB, s *Store) jobs.Task {
	t.Helper()
	ready, err := s.Ready(t.Context(), jobs.ReadyQuery{Route: "default", Now: time.Now(), Tenants: 10, PerTenant: 10})
	if err != nil || len(ready) != 1 {
		t.Fatalf("ready: got %+v, %v, want one execution", ready, err)
	}
	tasks, err := s.Release(t.Context(), []jobs.Release{
		{Execution: ready[0].Execution, Fence: ready[0].Fence, Provider: "sim", Model: "sim-1"},
	}, time.Now())
	if err != nil || len(tasks) != 1 {
		t.Fatalf("release: got %+v, %v, want one task", tasks, err)
	}
	return tasks[0]
}

// run claims the task for a worker that has beaten.
func run(t testing.TB, s *Store, task jobs.Task) jobs.Work {
	t.Helper()
	worker := jobs.Worker{ID: uuid.New(), Name: "worker"}
	if _, err := s.Beat(t.Context(), worker, nil); err != nil {
		t.Fatal(err)
	}
	work, err := s.Claim(t.Context(), jobs.Claim{Task: task, Worker: worker.ID, Call: uuid.New(), At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return work
}

// statusOf asserts where the job stands.
func statusOf(t testing.TB, s *Store, job jobs.Job, want jobs.Status) jobs.Job {
	t.Helper()
	got, err := s.Job(t.Context(), job.Tenant, job.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != want {
		t.Fatalf("job %s: got status %s, want %s", job.ID, got.Status, want)
	}
	return got
}

// reopen closes the store and opens its file again.
func reopen(t testing.TB, s *Store, c Config) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return openStore(t, c)
}

// Invariant 1: accepted means kept.
func TestWhatWasAcceptedIsThereAfterReopening(t *testing.T) {
	t.Parallel()
	c := Config{Path: newPath(t)}
	s := openStore(t, c)
	queued := submit(t, s)
	s = reopen(t, s, c)
	statusOf(t, s, queued, jobs.StatusQueued)
	work := run(t, s, releaseOne(t, s))
	if string(work.Body) != `{"a":1}` {
		t.Fatalf("body: got %s", work.Body)
	}
	_, err := s.Finish(t.Context(), jobs.Outcome{
		Task: work.Task, Status: jobs.StatusSucceeded, Result: []byte(`{"b":2}`), At: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s, c)
	if got := statusOf(t, s, queued, jobs.StatusSucceeded); string(got.Result) != `{"b":2}` {
		t.Fatalf("result: got %s", got.Result)
	}
}

// Invariant 5: a crash is counted apart, and heals at the next start.
func TestOpenTakesBackWhatTheDeadProcessHeld(t *testing.T) {
	t.Parallel()
	c := Config{Path: newPath(t)}
	s := openStore(t, c)
	job := submit(t, s)
	if got, err := s.Lease(t.Context(), "dispatch", uuid.New(), time.Hour); err != nil || !got {
		t.Fatalf("lease: got %v, %v", got, err)
	}
	releaseOne(t, s) // not claimed: no crash
	for crash := range jobs.MaxCrashes {
		s = reopen(t, s, c)
		statusOf(t, s, job, jobs.StatusQueued)
		workers, err := s.Workers(t.Context())
		if err != nil || len(workers) != 0 {
			t.Fatalf("workers after crash %d: got %+v, %v, want none", crash, workers, err)
		}
		run(t, s, releaseOne(t, s))
	}
	s = reopen(t, s, c)
	if got := statusOf(t, s, job, jobs.StatusFailed); got.Error == nil || got.Error.Code != jobs.CodePoisoned {
		t.Fatalf("error: got %+v, want code poisoned", got.Error)
	}
	if got, err := s.Lease(t.Context(), "dispatch", uuid.New(), time.Hour); err != nil || !got {
		t.Fatalf("lease of a dead process: got %v, %v, want it to be free", got, err)
	}
}

func TestOpenSettlesWhatTheDeadProcessLeft(t *testing.T) {
	t.Parallel()
	c := Config{Path: newPath(t), ChunkSize: 1}
	s := openStore(t, c)
	first := newSubmission()
	second := newSubmission()
	second.Job.RequestHash = first.Job.RequestHash
	for _, sub := range []jobs.Submission{first, second} {
		if _, err := s.Submit(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
	}
	work := run(t, s, releaseOne(t, s))
	s.died = func() error { return errors.New("the process died") }
	if _, err := s.Finish(t.Context(), jobs.Outcome{Task: work.Task, Status: jobs.StatusSucceeded, At: time.Now()}); err == nil {
		t.Fatal("interrupted finish: got no error")
	}
	statusOf(t, s, second.Job, jobs.StatusRunning)
	s = reopen(t, s, c)
	statusOf(t, s, first.Job, jobs.StatusSucceeded)
	statusOf(t, s, second.Job, jobs.StatusSucceeded)
}

// What cannot be settled, whatever it is, keeps nothing else from being so, nor
// the file from being opened.
func TestWhatCannotBeSettledIsNoObstacle(t *testing.T) {
	t.Parallel()
	c := Config{Path: newPath(t), ChunkSize: 1}
	s := openStore(t, c)
	var last []jobs.Job
	var executions []uuid.UUID
	for range 2 {
		first, second := newSubmission(), newSubmission()
		second.Job.RequestHash = first.Job.RequestHash
		for _, sub := range []jobs.Submission{first, second} {
			if _, err := s.Submit(t.Context(), sub); err != nil {
				t.Fatal(err)
			}
		}
		work := run(t, s, releaseOne(t, s))
		s.died = func() error { return errors.New("the process died") }
		o := jobs.Outcome{Task: work.Task, Status: jobs.StatusSucceeded, At: time.Now()}
		if _, err := s.Finish(t.Context(), o); err == nil {
			t.Fatal("interrupted finish: got no error")
		}
		last, executions = append(last, second.Job), append(executions, work.Task.Execution)
	}
	_, err := change(t.Context(), s, "break", func(ctx context.Context, t *statements) (int64, error) {
		return t.exec(ctx, `DELETE FROM results WHERE execution_id = ?`, id(executions[0]))
	})
	if err != nil {
		t.Fatal(err)
	}
	ended, err := s.Settle(t.Context())
	if err == nil || len(ended) != 1 || ended[0] != last[1].ID {
		t.Errorf("settle: got %v and error %v, want job %s and an error for the other", ended, err, last[1].ID)
	}
	statusOf(t, reopen(t, s, c), last[1], jobs.StatusSucceeded)
}

func TestOneStoreHasTheFile(t *testing.T) {
	t.Parallel()
	c := Config{Path: newPath(t)}
	s := openStore(t, c)
	job := submit(t, s)
	task := releaseOne(t, s)
	_, err := Open(t.Context(), c)
	if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), c.Path) {
		t.Fatalf("open a file that is open: got error %v, want %v, naming the file", err, ErrHeld)
	}
	run(t, s, task) // the second open took nothing back
	statusOf(t, s, job, jobs.StatusRunning)
	reopen(t, s, c)
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	c := Config{Path: newPath(t)}
	s := openStore(t, c)
	if _, err := s.writer.exec(t.Context(), `INSERT INTO schema_version (version) VALUES (99)`); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("ping: got error %v, want %v", err, ErrNewerSchema)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c.NoMigrate = range []bool{false, true} {
		if _, err := Open(t.Context(), c); !errors.Is(err, ErrNewerSchema) {
			t.Errorf("open, NoMigrate %v: got error %v, want %v", c.NoMigrate, err, ErrNewerSchema)
		}
	}
}

func TestOlderSchemaIsMigratedOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	c := Config{Path: newPath(t), NoMigrate: true}
	if _, err := Open(t.Context(), c); !errors.Is(err, ErrOlderSchema) {
		t.Fatalf("open an empty file: got error %v, want %v", err, ErrOlderSchema)
	}
	if err := Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	submit(t, openStore(t, c))
}

func TestFilesAreTheUsersAlone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // access is by the directory's rights there
	}
	dir := filepath.Join(t.TempDir(), "made", "by open")
	submit(t, openStore(t, Config{Path: filepath.Join(dir, "penstock.db")}))
	for name, want := range map[string]os.FileMode{
		"": 0o700, "penstock.db": 0o600, "penstock.db-wal": 0o600, "penstock.db-shm": 0o600, "penstock.db.lock": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q: got mode %o, want %o", name, got, want)
		}
	}
}

func TestAnyPathWillDo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"with space.db", "100%25.db", "what?.db", "a#b.db", "ünï.db", "a&b=c.db"} {
		dir := t.TempDir()
		submit(t, openStore(t, Config{Path: filepath.Join(dir, name)}))
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]Config{
		"path":      {},
		"Readers":   {Path: newPath(t), Readers: -1},
		"BatchSize": {Path: newPath(t), BatchSize: 1 << 20},
		"ChunkSize": {Path: newPath(t), ChunkSize: -5},
	} {
		if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%+v: got error %v, want one that names %s", c, err, field)
		}
	}
	notADatabase := newPath(t)
	if err := os.WriteFile(notADatabase, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Path: notADatabase}); err == nil {
		t.Error("open a file that is no database: got no error")
	}
}

func TestDurabilityIsFullUnlessRelaxed(t *testing.T) {
	t.Parallel()
	for relaxed, want := range map[bool]int{false: 2, true: 1} {
		s := openStore(t, Config{Path: newPath(t), Relaxed: relaxed})
		var level int
		var mode string
		if err := s.writer.row(t.Context(), `PRAGMA synchronous`).Scan(&level); err != nil || level != want {
			t.Errorf("relaxed %v: got synchronous %d, %v, want %d", relaxed, level, err, want)
		}
		if err := s.writer.row(t.Context(), `PRAGMA journal_mode`).Scan(&mode); err != nil || mode != "wal" {
			t.Errorf("got journal mode %q, %v, want wal", mode, err)
		}
	}
}
