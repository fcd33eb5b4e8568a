package postgres

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// A program from before there was on_unavailable attaches a job to an execution that
// would degrade, and does not say that this would not. What is refused to a lesser
// target for that is not offered for one again, or it would stand for ever before
// those that may go there.
func TestWhatAnOlderProgramAttachesIsOfferedToALesserTargetOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	var executions []uuid.UUID
	for _, hash := range []string{"joined", "alone"} {
		sub := testSubmission(hash)
		sub.Job.OnUnavailable = jobs.OnUnavailableDegrade
		done, err := s.Submit(t.Context(), sub)
		if err != nil {
			t.Fatal(err)
		}
		executions = append(executions, done.Job.ExecutionID)
	}
	const attach = `
		INSERT INTO live_jobs (execution_id, job_id, tenant, priority, deadline)
		VALUES ($1, $2, 'acme', 0, now() + interval '1 hour')`
	if _, err := s.pool.Exec(t.Context(), attach, executions[0], uuid.Must(uuid.NewV7())); err != nil {
		t.Fatal(err)
	}
	offered := func() []jobs.Candidate {
		t.Helper()
		all, err := s.Ready(t.Context(), jobs.ReadyQuery{Route: "default", Now: time.Now(), Tenants: 1, PerTenant: 1, Degradable: true})
		if err != nil || len(all) != 1 {
			t.Fatalf("ready for a lesser target: got %+v, %v, want one", all, err)
		}
		return all
	}
	first := offered()[0]
	got, err := s.Release(t.Context(), []jobs.Release{
		{Execution: first.Execution, Fence: first.Fence, Provider: "lesser", Model: "m", Degraded: true},
	}, time.Now())
	if err != nil || first.Execution != executions[0] || len(got) != 0 {
		t.Fatalf("release of %v to a lesser target: got %v, %v, want none of %v", first, got, err, executions[0])
	}
	if next := offered()[0]; next.Execution != executions[1] {
		t.Errorf("offered next: got %v, want %v", next.Execution, executions[1])
	}
	usual, err := s.Ready(t.Context(), jobs.ReadyQuery{Route: "default", Now: time.Now(), Tenants: 1, PerTenant: 2})
	if err != nil || len(usual) != 2 || usual[0].Fence != 0 {
		t.Errorf("ready for the usual target: got %+v, %v, want both as they were", usual, err)
	}
}
