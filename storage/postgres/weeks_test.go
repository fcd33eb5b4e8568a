package postgres

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

const month = 30 * 24 * time.Hour

// answeredAt makes a job at the given time, in its week's partition, and answers
// it at once.
func answeredAt(t *testing.T, s *Store, hash string, at time.Time) jobs.Job {
	t.Helper()
	sub := testSubmission(hash)
	sub.Job.ID, sub.Execution, sub.Job.CreatedAt = idAt(at), idAt(at), at
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	o := benchOutcome(runOne(t, s), []byte(`{"answer":"`+hash+`"}`))
	o.At = at
	if _, err := s.Finish(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return jobNow(t, s, sub.Job.ID)
}

func jobNow(t *testing.T, s *Store, id uuid.UUID) jobs.Job {
	t.Helper()
	j, err := s.Job(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// weeklies returns how many tables there are for the week of at.
func weeklies(t *testing.T, s *Store, at time.Time) (n int) {
	t.Helper()
	const query = `SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE '%' || $1`
	suffix := "_" + at.UTC().Truncate(week).Format("20060102")
	if err := s.pool.QueryRow(t.Context(), query, suffix).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// openLongAgo opens a store that has partitions for a week past its retention, and
// returns a time in that week.
func openLongAgo(t *testing.T) (s *Store, past time.Time) {
	t.Helper()
	s, past = openStore(t, Config{}), time.Now().Add(-month-2*week)
	if err := s.Maintain(t.Context(), past); err != nil {
		t.Fatal(err)
	}
	return s, past
}

func retain(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.Retain(t.Context(), jobs.Retention{Default: month}, time.Now()); err != nil {
		t.Error(err)
	}
}

// Weeks past their retention go whole, but for what later jobs are served by.
func TestWeeksPastTheirRetentionAreDropped(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	past, younger := time.Now().Add(-month-2*week), time.Now().Add(-month+week)
	for _, at := range []time.Time{past, younger} {
		if err := s.Maintain(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	old, kept, served, young := answeredAt(t, s, "old", past), answeredAt(t, s, "kept", past),
		answeredAt(t, s, "served", past), answeredAt(t, s, "young", younger)
	if got := partitionOf(t, s, old.ID); got == "jobs_default" {
		t.Fatalf("the old job is in %s, want a week's partition", got)
	}
	sub := testSubmission("kept")
	sub.MaxAge = 100 * 24 * time.Hour
	copied, err := s.Submit(t.Context(), sub)
	if err != nil || !copied.Job.Cached {
		t.Fatalf("copy: got %+v, %v", copied, err)
	}
	sub = testSubmission("served")
	sub.StaleIfError = 100 * 24 * time.Hour
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	o := benchOutcome(runOne(t, s), nil)
	o.Status, o.Error = jobs.StatusFailed, &jobs.JobError{Code: "server_error"}
	if _, err := s.Finish(t.Context(), o); err != nil {
		t.Fatal(err)
	}

	for range 2 {
		retain(t, s)
	}
	if n := weeklies(t, s, past); n != 0 {
		t.Errorf("%d tables are left of a week past its retention, want none", n)
	}
	for _, j := range []jobs.Job{old, kept, served} {
		if _, err := s.Job(t.Context(), "acme", j.ID); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("a job past its retention: got error %v, want %v", err, jobs.ErrNotFound)
		}
	}
	for id, want := range map[uuid.UUID]string{copied.Job.ID: "kept", sub.Job.ID: "served", young.ID: "young"} {
		if got := string(jobNow(t, s, id).Result); got != `{"answer":"`+want+`"}` {
			t.Errorf("the answer of %s is %q, want it kept", want, got)
		}
		if _, err := s.Request(t.Context(), "acme", id); err != nil {
			t.Errorf("the request of %s: %v", want, err)
		}
	}
	if n := count(t, s, "results_default") + count(t, s, "requests_default"); n != 4 {
		t.Errorf("%d rows were moved to the default partitions, want 2 results and their requests", n)
	}

	for _, id := range []uuid.UUID{copied.Job.ID, sub.Job.ID} {
		if err := s.Delete(t.Context(), "acme", id); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s, "results_default") + count(t, s, "requests_default") + count(t, s, "calls_default"); n != 0 {
		t.Errorf("%d rows are left when nobody has them, want none", n)
	}
}

func count(t *testing.T, s *Store, table string) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAWeekInWhichSomethingLivesStays(t *testing.T) {
	t.Parallel()
	s, past := openLongAgo(t)
	sub := testSubmission("live")
	sub.Job.ID, sub.Execution, sub.Job.CreatedAt = idAt(past), idAt(past), past
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	retain(t, s)
	if jobNow(t, s, sub.Job.ID).Status.Terminal() || weeklies(t, s, past) != len(partitioned()) {
		t.Fatal("a week was dropped with a live job in it")
	}
	if _, _, err := s.Cancel(t.Context(), "acme", sub.Job.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	retain(t, s)
	if n := weeklies(t, s, past); n != 0 {
		t.Errorf("%d tables are left when nothing lives, want none", n)
	}
}

// A process may die between the two halves, or find a table held.
func TestADropThatWasBrokenOffGoesOn(t *testing.T) {
	t.Parallel()
	s, past := openLongAgo(t)
	answeredAt(t, s, "old", past)
	reader, err := pgx.Connect(t.Context(), s.pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.Background())
	if _, err := reader.Exec(t.Context(), `BEGIN; SELECT FROM results LIMIT 1`); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if _, err = s.Retain(t.Context(), jobs.Retention{Default: month}, time.Now()); err == nil {
		t.Error("a drop got a lock that another has")
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("a drop waited %v for a lock, want 8 times 200 ms and pauses of 100 ms", took)
	}
	if n := weeklies(t, s, past.Add(-week)); n != 3 { // the first that is to be dropped
		t.Errorf("%d tables are left of the first week, want those of its executions, 3", n)
	}
	if _, err := reader.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	retain(t, s)
	if n := weeklies(t, s, past); n != 0 {
		t.Errorf("%d tables are left, want none", n)
	}
}

// The last jobs to need what an old week holds may go with that week: what the
// others have dropped is forgotten then.
func TestWhatOnlyDroppedJobsHaveIsForgottenWithItsWeek(t *testing.T) {
	t.Parallel()
	s, past := openLongAgo(t)
	answeredAt(t, s, "old", past)
	sub := testSubmission("old")
	sub.MaxAge, sub.Job.Ephemeral, sub.NoStore = 100*24*time.Hour, true, true
	if got, err := s.Submit(t.Context(), sub); err != nil || !got.Job.Cached {
		t.Fatalf("copy: got %+v, %v", got, err)
	}
	if n, err := s.Drop(t.Context(), time.Now().Add(2*time.Hour), 10); n != 1 || err != nil {
		t.Fatalf("drop: got %d, %v, want 1", n, err)
	}
	retain(t, s)
	var left int
	const query = `
		SELECT (SELECT count(*) FROM requests WHERE body <> '') + (SELECT count(*) FROM results WHERE body IS NOT NULL)`
	if err := s.pool.QueryRow(t.Context(), query).Scan(&left); err != nil || left != 0 {
		t.Errorf("requests and answers left: got %d, %v, want none", left, err)
	}
	if _, err := s.Request(t.Context(), "acme", sub.Job.ID); !errors.Is(err, &jobs.Error{Code: jobs.CodeDropped}) {
		t.Errorf("the request of the dropped job: got error %v, want %s", err, jobs.CodeDropped)
	}
}

// Deleting may outlast the lease it is done under: then another does it as well.
func TestWeeksAreDroppedByManyAtOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	past := time.Now().Add(-month - 20*week)
	if err := s.Maintain(t.Context(), past); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { retain(t, s) })
	}
	group.Wait()
	if n := weeklies(t, s, past); n != 0 {
		t.Errorf("%d tables are left, want none", n)
	}
}

// What is moved is moved while everybody waits: of a week that still serves many
// jobs only what they do not need is deleted.
func TestAWeekThatStillServesManyIsNotMoved(t *testing.T) {
	t.Parallel()
	s, past := openLongAgo(t)
	old := answeredAt(t, s, "old", past)
	const serve = `
		INSERT INTO jobs (id, tenant, execution_id, status, endpoint, model, priority, deadline, created_at, hash,
			deduplicated, cached, end_user)
		SELECT overlay($1::text PLACING lpad(n::text, 12, '0') FROM 25)::uuid, 'acme',
			overlay($2::text PLACING lpad(n::text, 12, '0') FROM 25)::uuid, 'succeeded', '', '', 0, now(), now(), '',
			false, true, ''
		FROM generate_series(1, $3) AS n`
	now := time.Now()
	if _, err := s.pool.Exec(t.Context(), serve, floorID(now).String(), floorID(past).String(), maxMoved+1); err != nil {
		t.Fatal(err)
	}
	retain(t, s)
	if n := weeklies(t, s, past); n != len(partitioned()) {
		t.Errorf("%d tables are left of a week that serves many, want all", n)
	}
	if _, err := s.Job(t.Context(), "acme", old.ID); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("a job past its retention: got error %v, want %v", err, jobs.ErrNotFound)
	}
	if _, err := s.pool.Exec(t.Context(), `DELETE FROM jobs WHERE id = (SELECT max(id::text)::uuid FROM jobs)`); err != nil {
		t.Fatal(err)
	}
	retain(t, s)
	if n := weeklies(t, s, past); n != 0 {
		t.Errorf("%d tables are left of a week that serves few, want none", n)
	}
}
