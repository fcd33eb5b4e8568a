package jobs_test

import (
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

// TestAJobWantsWhatItSaysElseWhatItsRouteSays, and a retry of it the same.
func TestAJobWantsWhatItSaysElseWhatItsRouteSays(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s := jobs.NewService(store, queuetest.New(), jobs.NewCatalog([]jobs.Route{{
		Name: "default", Targets: []jobs.Target{{Provider: "sim", Model: "m"}}, OnUnavailable: jobs.OnUnavailableDegrade,
	}}, nil, jobs.Route{}))
	for name, c := range map[string]struct {
		said *jobs.OnUnavailable
		want jobs.OnUnavailable
	}{
		"nothing":       {nil, jobs.OnUnavailableDegrade},
		"to wait":       {new(jobs.OnUnavailableWait), jobs.OnUnavailableWait},
		"to fail":       {new(jobs.OnUnavailableFail), jobs.OnUnavailableFail},
		"what it would": {new(jobs.OnUnavailableDegrade), jobs.OnUnavailableDegrade},
	} {
		n := newJob(hello)
		n.OnUnavailable, n.NoDedupe = c.said, true
		j := mustSubmit(t, s, n)
		if j.OnUnavailable != c.want {
			t.Errorf("said %s: got %v, want %v", name, j.OnUnavailable, c.want)
		}
		if _, err := s.Cancel(t.Context(), n.Tenant, j.ID); err != nil {
			t.Fatal(err)
		}
		again, err := s.Retry(t.Context(), n.Tenant, j.ID)
		if err != nil || again.Job.OnUnavailable != c.want {
			t.Errorf("said %s: a retry wants %v, %v, want %v", name, again.Job.OnUnavailable, err, c.want)
		}
	}
}

func TestParseOnUnavailable(t *testing.T) {
	t.Parallel()
	for _, want := range []jobs.OnUnavailable{jobs.OnUnavailableWait, jobs.OnUnavailableFail, jobs.OnUnavailableDegrade} {
		if got, ok := jobs.ParseOnUnavailable(want.String()); !ok || got != want {
			t.Errorf("ParseOnUnavailable(%q) = %v, %v, want %v", want, got, ok, want)
		}
	}
	if got, ok := jobs.ParseOnUnavailable("Wait"); ok {
		t.Errorf(`ParseOnUnavailable("Wait") = %v, want nothing`, got)
	}
}
