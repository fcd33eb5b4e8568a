// Package drift notices that a provider serves another model than before under
// the same name, by the model and the fingerprint that answers carry.
package drift

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

const (
	// Quiet is how long after a change of a model those that follow are marked:
	// while a provider changes over, its servers answer one way and the other.
	Quiet = time.Hour
	// maxModels bounds the models watched: callers make up names.
	maxModels = 256
	// maxName bounds what is kept of what an answer says, in bytes.
	maxName = 128
)

// Served is what an answer says of its model. Either may be empty.
type Served struct {
	Model       string
	Fingerprint string
}

// Change is an answer that another model gave than the one before.
type Change struct {
	// Model is what was asked for.
	Model   string
	Was, Is Served
	// Again: another change of the model was told less than [Quiet] ago.
	Again bool
}

// Provider is a provider that is watched.
type Provider struct {
	providers.Provider
	changed func(Change)

	mu   sync.Mutex
	last map[string]*last
}

var _ providers.Provider = (*Provider)(nil)

// last is what was seen of a model.
type last struct {
	Served
	told time.Time // not marked as again
}

// Watch returns p, and tells changed of changes: from the goroutines that call,
// one at a time. It must not wait.
func Watch(p providers.Provider, changed func(Change)) *Provider {
	return &Provider{Provider: p, changed: changed, last: make(map[string]*last)}
}

// Call implements [providers.Provider].
func (p *Provider) Call(
	ctx context.Context, req providers.Request, onChunk func(providers.Chunk),
) (providers.Response, error) {
	resp, err := p.Provider.Call(ctx, req, onChunk)
	if err == nil {
		p.see(req.Model, Served{Model: bound(resp.Model), Fingerprint: bound(resp.Fingerprint)}, time.Now())
	}
	return resp, err
}

// see compares what served a model with what did before. An answer that says
// nothing of one of the two says nothing of a change.
func (p *Provider) see(model string, is Served, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.last[model]
	if !known {
		if len(p.last) < maxModels {
			p.last[model] = &last{Served: is}
		}
		return
	}
	was := before.Served
	before.Model, before.Fingerprint = cmp.Or(is.Model, was.Model), cmp.Or(is.Fingerprint, was.Fingerprint)
	if !differ(was.Model, is.Model) && !differ(was.Fingerprint, is.Fingerprint) {
		return
	}
	again := !before.told.IsZero() && now.Sub(before.told) < Quiet
	if !again {
		before.told = now
	}
	p.changed(Change{Model: model, Was: was, Is: before.Served, Again: again})
}

func differ(was, is string) bool { return was != "" && is != "" && was != is }

func bound(s string) string { return s[:min(len(s), maxName)] }
