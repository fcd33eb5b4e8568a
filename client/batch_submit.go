package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// NewBatch is many requests that are asked for as one. Zero fields are left to Penstock.
type NewBatch struct {
	// Exactly one of the next three is set. Requests are sent as they are made into JSON,
	// never all at a time.
	Requests []BatchRequest
	// Stream is ranged over once, while the requests are sent, and not after SubmitBatch
	// has returned. Its error ends the submission. As it can be ranged over once, what is
	// refused for now or lost on the way is not asked for again by itself: with an
	// IdempotencyKey of your own you may.
	Stream iter.Seq2[BatchRequest, error]
	// InputFile is a file of lines in OpenAI's form that was uploaded at /v1/files.
	InputFile string

	// Endpoint is whose bodies the requests are; empty: /v1/chat/completions.
	Endpoint string
	// Priority is low unless something else is said.
	Priority Priority
	// Deadline, or Timeout from the submission on, is when lines that have not ended
	// expire; at most one is set. Neither is 24 h.
	Deadline time.Time
	Timeout  time.Duration
	// NoDedupe keeps equal requests from being asked once.
	NoDedupe bool
	Cache    Cache
	// Concurrency bounds how many lines are under way at a time.
	Concurrency   int
	OnUnavailable OnUnavailable
	UseCase       string
	User          string
	Metadata      map[string]string
	// IdempotencyKey names the submission for 24 hours: with the same key, fields and
	// requests it is the same batch. Empty: one is made for the repetitions of this one
	// call.
	IdempotencyKey string
}

// BatchRequest is one request of a batch.
type BatchRequest struct {
	// CustomID is your name for it, like no other in the batch.
	CustomID string `json:"custom_id"`
	// Request is the endpoint's body: a [json.RawMessage], or a value that becomes a JSON
	// object.
	Request any `json:"request"`
}

// SubmitBatch has many requests done and returns their batch as it is then: its lines are
// still to be read. After nil it is kept, whatever crashes.
func (c *Client) SubmitBatch(ctx context.Context, n NewBatch) (Batch, error) {
	r := request{method: http.MethodPost, path: batchesPath, header: idempotent(n.IdempotencyKey)}
	options, err := json.Marshal(n.wire())
	if err != nil {
		return Batch{}, fmt.Errorf("client: make the body of a batch: %w", err)
	}
	switch {
	case len(n.Requests) > 0 && n.Stream == nil && n.InputFile == "":
		r.stream = func(w io.Writer) error { return writeRequests(w, options, all(n.Requests)) }
	case len(n.Requests) == 0 && n.Stream != nil && n.InputFile == "":
		r.stream, r.repeat = func(w io.Writer) error { return writeRequests(w, options, n.Stream) }, never
	case len(n.Requests) == 0 && n.Stream == nil && n.InputFile != "":
		r.body = options
	default:
		return Batch{}, errors.New("client: a batch has one of Requests, Stream and InputFile")
	}
	var b Batch
	return b, c.ask(ctx, r, &b)
}

// all ranges over requests that are there.
func all(requests []BatchRequest) iter.Seq2[BatchRequest, error] {
	return func(yield func(BatchRequest, error) bool) {
		for _, r := range requests {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// writeRequests writes the body of a submission: the options, which are an object, and the
// requests as they come.
func writeRequests(w io.Writer, options []byte, requests iter.Seq2[BatchRequest, error]) error {
	before := `,"requests":[`
	if len(options) == len(`{}`) {
		before = `"requests":[`
	}
	if _, err := w.Write(append(options[:len(options)-1:len(options)-1], before...)); err != nil {
		return err
	}
	separator := "\n"
	for r, err := range requests {
		if err != nil {
			return finalError{err}
		}
		line, err := json.Marshal(r)
		if err != nil {
			return finalError{fmt.Errorf("client: make request %q of a batch: %w", r.CustomID, err)}
		}
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		separator = ",\n"
	}
	_, err := io.WriteString(w, "]}")
	return err
}

// newBatchJSON is the body of a submission, but for its requests.
type newBatchJSON struct {
	InputFile string `json:"input_file_id,omitempty"`

	policyJSON

	Concurrency int               `json:"concurrency,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

func (n NewBatch) wire() newBatchJSON {
	return newBatchJSON{
		InputFile: n.InputFile,
		policyJSON: policyJSON{
			Endpoint: n.Endpoint, Priority: n.Priority, Deadline: n.Deadline, Timeout: duration(n.Timeout),
			Dedupe: unless(n.NoDedupe), Cache: n.Cache.wire(), OnUnavailable: n.OnUnavailable, UseCase: n.UseCase, User: n.User,
		},
		Concurrency: n.Concurrency, Metadata: n.Metadata,
	}
}
