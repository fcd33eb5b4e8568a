// Package tokens estimates how many tokens a request will cost before it is
// sent: its input by counting, its output by what the model gave lately. Both
// are corrected by the usage that providers return.
package tokens

import (
	"strings"
	"sync"

	"github.com/penstock-dev/penstock/providers"
)

// Estimator estimates and learns. Make one with [New]. It is safe for use by
// many goroutines.
type Estimator struct {
	vocabulary *vocabulary

	mu     sync.RWMutex
	models map[string]*model
	// clock counts what was learned, to tell the models that are in use.
	clock int64
}

// Estimate is what a request is expected to cost, in tokens.
type Estimate struct {
	// Input is at least 1.
	Input int64
	// Output is 0 for embeddings, else at least 1.
	Output int64
	// Limit is the most output that the request allows; 0 if it names no limit.
	Limit int64
	// counted is the input as it was counted, before what was learned; choices is
	// how many answers were asked for.
	counted, choices int64
}

// maxModels bounds the models that are learned about; of more, those that were
// called least lately are forgotten.
const maxModels = 256

// New returns an estimator that has learned nothing yet. The first call in a
// process takes some 100 ms, for the vocabulary.
func New() *Estimator {
	return &Estimator{vocabulary: o200k(), models: map[string]*model{}}
}

// Estimate returns what a request is expected to cost on a model, which is
// named as in Learn. body is the endpoint's; it is a JSON object, and of
// anything else the estimate means nothing. Of a long text parts are counted:
// see the package's tests for the error and the time it takes.
func (e *Estimator) Estimate(modelName, endpoint string, body []byte) Estimate {
	r := read(endpoint, body, e.vocabulary.count)
	counted := r.text.tokens + r.other + perAnswer
	m := e.model(modelName)
	estimate := Estimate{
		Input: max(1, m.inputOf(counted)), Limit: r.limit * r.choices, counted: counted, choices: r.choices,
	}
	if endpoint != providers.Embeddings {
		estimate.Output = max(1, r.choices*m.outputOf(counted, r.limit))
	}
	return estimate
}

// Learn takes in what an answered request did cost that was estimated to cost
// estimate. Usage that is not known teaches nothing; without an estimate it
// teaches about output alone.
func (e *Estimator) Learn(modelName string, estimate Estimate, usage providers.Usage) {
	if !usage.Known {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.models[modelName]
	if m == nil {
		e.makeRoom()
		m = newModel()
		e.models[strings.Clone(modelName)] = m
	}
	e.clock++
	m.used = e.clock
	m.learn(estimate, usage)
}

// model returns what is known about a model.
func (e *Estimator) model(name string) model {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if m := e.models[name]; m != nil {
		return *m
	}
	return *newModel()
}

// makeRoom forgets the model that was called least lately, if there are too
// many.
func (e *Estimator) makeRoom() {
	if len(e.models) < maxModels {
		return
	}
	var oldest string
	for name, m := range e.models {
		if oldest == "" || m.used < e.models[oldest].used {
			oldest = name
		}
	}
	delete(e.models, oldest)
}

func read(endpoint string, body []byte, count func([]byte) int) *request {
	r := &request{scan: scanner{data: body}, text: sampler{count: count}, patches: endpoint == messages}
	r.read()
	return r
}

const messages = "/v1/messages"
