package jobs_test

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

// TestAJobIsForWhatItSaysElseForWhatItsRouteSays, and a retry of it for the same. What
// is not configured is refused with what is.
func TestAJobIsForWhatItSaysElseForWhatItsRouteSays(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	target := []jobs.Target{{Provider: "sim", Model: "m"}}
	s := jobs.NewService(store, queuetest.New(), jobs.NewCatalog([]jobs.Route{
		{Name: "default", Targets: target}, {Name: "night", Targets: target, UseCase: "reports"},
	}, nil, jobs.Route{}).WithUseCases(map[string]jobs.UseCase{"chat": {Share: 0.5}, "reports": {Share: 0.2}}))
	for _, c := range []struct{ route, said, want string }{
		{"default", "", ""},
		{"default", "chat", "chat"},
		{"default", "default", "default"},
		{"night", "", "reports"},
		{"night", "chat", "chat"},
	} {
		n := newJob(strings.Replace(hello, `"default"`, `"`+c.route+`"`, 1))
		n.UseCase, n.NoDedupe = c.said, true
		j := mustSubmit(t, s, n)
		if _, err := s.Cancel(t.Context(), n.Tenant, j.ID); err != nil {
			t.Fatal(err)
		}
		again, err := s.Retry(t.Context(), n.Tenant, j.ID)
		if j.UseCase != c.want || err != nil || again.Job.UseCase != c.want {
			t.Errorf("%+v: got %q, and of a retry %q, %v", c, j.UseCase, again.Job.UseCase, err)
		}
	}
	n := newJob(hello)
	n.UseCase = "report"
	_, err = s.Submit(t.Context(), n)
	e, ok := errors.AsType[*jobs.Error](err)
	if !ok || e.Code != jobs.CodeUnknownUseCase || e.Pointer != "/use_case" ||
		!strings.Contains(e.Message, "chat, default, reports") {
		t.Errorf("an unknown one: got %v, want it refused with what there is", err)
	}
}

func TestTheDefaultUseCaseHasWhatIsLeft(t *testing.T) {
	t.Parallel()
	c := jobs.NewCatalog(nil, nil, jobs.Route{})
	for name, want := range map[string]struct {
		with  map[string]jobs.UseCase
		share float64
	}{
		"nothing configured": {nil, 1},
		"some":               {map[string]jobs.UseCase{"a": {Share: 0.5}, "b": {Share: 0.2}}, 0.3},
		"all":                {map[string]jobs.UseCase{"a": {Share: 1}}, 0.01},
		"its own":            {map[string]jobs.UseCase{"a": {Share: 0.5}, "default": {Share: 0.1}}, 0.1},
	} {
		all := c.WithUseCases(want.with).UseCases()
		if got := all[jobs.DefaultUseCase].Share; math.Abs(got-want.share) > 1e-9 {
			t.Errorf("%s: got %v of %v, want %v", name, got, slices.Sorted(maps.Keys(all)), want.share)
		}
	}
}
