package drift_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/drift"
)

// answers is a provider that answers with its value, or fails without one.
type answers struct{ *providers.Response }

func (a answers) Call(context.Context, providers.Request, func(providers.Chunk)) (providers.Response, error) {
	if a.Response == nil {
		return providers.Response{Model: "never", Fingerprint: "never"}, errors.New("no answer")
	}
	return *a.Response, nil
}

// served is an answer to come; empty names mean an answer that does not say.
func served(model, fingerprint string) *providers.Response {
	return &providers.Response{Model: model, Fingerprint: fingerprint}
}

func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 128)
	for name, c := range map[string]struct {
		answers []*providers.Response // nil is a call that fails
		want    []string
	}{
		"no change":        {[]*providers.Response{served("m-1", "a"), served("m-1", "a")}, nil},
		"fingerprint":      {[]*providers.Response{served("m-1", "a"), served("m-1", "b"), served("m-1", "b")}, []string{"m-1 a -> m-1 b"}},
		"model":            {[]*providers.Response{served("m-1", "a"), served("m-2", "a"), served("m-2", "a")}, []string{"m-1 a -> m-2 a"}},
		"named late":       {[]*providers.Response{served("", ""), served("m-1", ""), served("m-1", "a")}, nil},
		"not named":        {[]*providers.Response{served("m-1", "a"), served("", ""), served("m-2", "")}, []string{"m-1 a -> m-2 a"}},
		"failed":           {[]*providers.Response{served("m-1", "a"), nil, served("m-1", "a")}, nil},
		"beyond the bound": {[]*providers.Response{served(long+"1", "a"), served(long+"2", "a")}, nil},
	} {
		var told []string
		inner := &answers{}
		p := drift.Watch(inner, func(c drift.Change) { told = append(told, say(c)) })
		for _, inner.Response = range c.answers {
			_, _ = p.Call(t.Context(), providers.Request{Model: "m"}, nil)
			_, _ = p.Call(t.Context(), providers.Request{Model: "another"}, nil)
		}
		var want []string
		for _, line := range c.want {
			want = append(want, "m: "+line, "another: "+line)
		}
		if !slices.Equal(told, want) {
			t.Errorf("%s: got %q, want %q", name, told, want)
		}
	}
}

func say(c drift.Change) string {
	return fmt.Sprintf("%s: %s %s -> %s %s", c.Model, c.Was.Model, c.Was.Fingerprint, c.Is.Model, c.Is.Fingerprint)
}

// A provider that changes over answers to and fro: what follows a change is
// marked for an hour.
func TestChangesInARowAreMarked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var marked []bool
		inner := &answers{}
		p := drift.Watch(inner, func(c drift.Change) { marked = append(marked, c.Again) })
		for i, wait := range []time.Duration{0, 0, 0, drift.Quiet - 1, 1, drift.Quiet} {
			time.Sleep(wait)
			inner.Response = served(fmt.Sprint("m-", i%2), "")
			_, _ = p.Call(t.Context(), providers.Request{Model: "m"}, nil)
		}
		if want := []bool{false, true, true, false, false}; !slices.Equal(marked, want) {
			t.Errorf("got %v, want %v", marked, want)
		}
	})
}

// Models are names that callers make up.
func TestModelsWatchedAreBounded(t *testing.T) {
	t.Parallel()
	told := 0
	inner := &answers{&providers.Response{}}
	p := drift.Watch(inner, func(drift.Change) { told++ })
	for _, served := range []string{"one", "two"} {
		inner.Model = served
		for i := range 1000 {
			if _, err := p.Call(t.Context(), providers.Request{Model: fmt.Sprint(i)}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if told != 256 {
		t.Errorf("%d models were watched, want 256", told)
	}
}
