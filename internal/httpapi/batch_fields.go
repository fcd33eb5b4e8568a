package httpapi

import (
	"encoding/json"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// batchOptions is what a submission says of a batch, beside its requests.
type batchOptions struct {
	// job has what is said of the job of every line.
	job         jobs.NewJob
	input       uuid.UUID
	window      string
	timeout     *time.Duration
	concurrency int
}

// fields are all there are but requests, read into o.
func (o *batchOptions) fields() map[string]field {
	return map[string]field{
		"input_file_id":     o.inputFile,
		"endpoint":          (*decoder).endpoint,
		"priority":          (*decoder).priority,
		"deadline":          (*decoder).deadline,
		"timeout":           span(&o.timeout),
		"completion_window": text(&o.window),
		"dedupe":            (*decoder).dedupe,
		"cache":             (*decoder).cache,
		"concurrency":       o.atOnce,
		"on_unavailable":    (*decoder).onUnavailable,
		"use_case":          (*decoder).useCase,
		"user":              (*decoder).user,
		"metadata":          (*decoder).metadata,
	}
}

func (o *batchOptions) inputFile(d *decoder, pointer string, raw json.RawMessage) {
	var id string
	if !decode(d, pointer, raw, &id, "the id of a file") {
		return
	}
	var err error
	if o.input, err = surface.ParseID(id); err != nil || o.input == uuid.Nil {
		d.fail(pointer, "no such file")
	}
}

func (o *batchOptions) atOnce(d *decoder, pointer string, raw json.RawMessage) {
	var n float64
	if !decode(d, pointer, raw, &n, "a whole number") {
		return
	}
	if n != math.Trunc(n) || n < 1 || n > batches.Window {
		d.fail(pointer, "must be a whole number between 1 and %d", batches.Window)
		return
	}
	o.concurrency = int(n)
}

// decodeBatch reads the fields of a submission. What values mean beyond what is a field's
// own is for [batches.Service] to judge.
func decodeBatch(fields map[string]json.RawMessage) (batchOptions, error) {
	var o batchOptions
	o.job.Priority = jobs.PriorityLow
	d := &decoder{job: &o.job}
	d.members("", fields, o.fields())
	if o.timeout != nil && (*o.timeout <= 0 || *o.timeout > jobs.MaxTimeout) {
		d.fail("/timeout", "must be more than zero and at most %s", jobs.MaxTimeout)
	}
	if o.timeout != nil && (o.window != "" || !o.job.Deadline.IsZero()) {
		d.fail("/timeout", "give one of deadline, timeout and completion_window")
	}
	if len(d.errs) > 0 {
		return batchOptions{}, d.errs
	}
	return o, nil
}

func (o *batchOptions) endpoint() string {
	if o.job.Endpoint == "" {
		return providers.ChatCompletions
	}
	return o.job.Endpoint
}

// batch returns what is asked for.
func (o *batchOptions) batch() batches.New {
	j := o.job
	n := batches.New{
		Endpoint: o.endpoint(), Input: o.input, Window: o.window, Deadline: j.Deadline, Metadata: j.Metadata,
		Policy: batches.Policy{
			Priority: j.Priority, Concurrency: o.concurrency, NoDedupe: j.NoDedupe, MaxAge: j.MaxAge,
			StaleWhileRevalidate: j.StaleWhileRevalidate, StaleIfError: j.StaleIfError, NoStore: j.NoStore,
			OnUnavailable: j.OnUnavailable, UseCase: j.UseCase, User: j.User,
		},
	}
	if o.timeout != nil {
		n.Window = o.timeout.String()
	}
	return n
}
