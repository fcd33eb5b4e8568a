package run_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
)

func TestNewNamesTheFieldAtFault(t *testing.T) {
	t.Parallel()
	good := func() run.Config {
		g := &rig{}
		return run.Config{
			Store: g, Queue: brokenQueue{}, Signals: silent{}, Catalog: jobs.NewCatalog(nil, nil, jobs.Route{}),
			Worker:    jobs.Worker{ID: uuid.New()},
			Providers: map[string]providers.Provider{"first": provider{g}}, Concurrency: map[string]int{"first": 1},
		}
	}
	for field, breakIt := range map[string]func(*run.Config){
		"Store":                 func(c *run.Config) { c.Store = nil },
		"Queue":                 func(c *run.Config) { c.Queue = nil },
		"Signals":               func(c *run.Config) { c.Signals = nil },
		"Catalog":               func(c *run.Config) { c.Catalog = nil },
		"Worker.ID":             func(c *run.Config) { c.Worker.ID = uuid.Nil },
		"Retry":                 func(c *run.Config) { c.Retry.Base = time.Second },
		"DrainTimeout":          func(c *run.Config) { c.DrainTimeout = -1 },
		`Concurrency["first"]`:  func(c *run.Config) { c.Concurrency = map[string]int{"first": 0} },
		`Concurrency["second"]`: func(c *run.Config) { c.Concurrency = map[string]int{"second": 1} },
	} {
		c := good()
		breakIt(&c)
		if _, err := run.New(c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("New with a bad %s = %v, want an error that names it", field, err)
		}
	}
	if _, err := run.New(good()); err != nil {
		t.Errorf("New = %v, want nil", err)
	}
}

type silent struct{}

func (silent) Send(context.Context, jobs.Signal) error { return nil }

func (silent) Listen(context.Context, func(jobs.Signal), ...jobs.SignalKind) error { return nil }
