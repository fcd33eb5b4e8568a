package openai

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// Batches is what the surface needs of [batches.Service].
type Batches interface {
	Create(ctx context.Context, n batches.New) (b batches.Batch, replayed bool, err error)
	Batch(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
	List(ctx context.Context, q batches.Query) (page []batches.Batch, more bool, err error)
	Pause(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
	Resume(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
	Cancel(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)
	Retry(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, int, error)
	Answers(ctx context.Context, q batches.AnswerQuery) iter.Seq2[batches.Answer, error]
}

var _ Batches = (*batches.Service)(nil)

func (s *Surface) batchRoutes() []route {
	return []route{
		{"POST /v1/batches", s.createBatch},
		{"GET /v1/batches", s.listBatches},
		{"GET /v1/batches/{id}", s.change(Batches.Batch)},
		{"POST /v1/batches/{id}/cancel", s.change(Batches.Cancel)},
		// What follows is more than OpenAI has.
		{"POST /v1/batches/{id}/pause", s.change(Batches.Pause)},
		{"POST /v1/batches/{id}/resume", s.change(Batches.Resume)},
		{"POST /v1/batches/{id}/retry", s.change(retryBatch)},
	}
}

// retryBatch runs the lines again that have no answer.
func retryBatch(b Batches, ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error) { //nolint:revive // as those of the methods beside it
	again, _, err := b.Retry(ctx, tenant, id)
	return again, err
}

// change answers with a batch as something has left it.
func (s *Surface) change(do func(b Batches, ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error)) func(*exchange) error {
	return func(x *exchange) error {
		id, err := surface.ParseID(x.r.PathValue("id"))
		if err != nil {
			return errNoBatch
		}
		x.caller.Batch = id
		ctx, cancel := s.storeContext(x.r.Context())
		defer cancel()
		b, err := do(s.cfg.Batches, ctx, x.caller.Tenant, id)
		if err != nil {
			return err
		}
		return surface.WriteJSON(x.w, http.StatusOK, encodeBatch(b))
	}
}

var errNoBatch = &jobs.Error{Code: jobs.CodeNotFound, Message: "no such batch"}

// newBatch is the body of POST /v1/batches.
type newBatch struct {
	Input    string            `json:"input_file_id"`
	Endpoint string            `json:"endpoint"`
	Window   string            `json:"completion_window"`
	Metadata map[string]string `json:"metadata"`
	Output   *struct {
		Anchor  string `json:"anchor"`
		Seconds int64  `json:"seconds"`
	} `json:"output_expires_after"`
}

// createBatch is POST /v1/batches. An SDK's own retry has the batch that its first try
// made.
func (s *Surface) createBatch(x *exchange) error {
	body, done, err := x.caller.Server.ReadBody()
	if err != nil {
		return err
	}
	defer done()
	n, err := readBatch(body)
	if err != nil {
		return err
	}
	n.Tenant = x.caller.Tenant
	if surface.IsRetry(x.r) {
		n.Repeat.Within = surface.Shared
	}
	ctx, cancel := s.storeContext(x.r.Context())
	defer cancel()
	b, _, err := s.cfg.Batches.Create(ctx, n)
	if err != nil {
		return err
	}
	x.caller.Batch = b.ID
	return surface.WriteJSON(x.w, http.StatusOK, encodeBatch(b))
}

var batchFields = map[string]string{
	"input_file_id": "a string", "endpoint": "a string", "completion_window": "a string", "metadata": "an object of strings",
	"output_expires_after": "an object with anchor and seconds",
}

func readBatch(body []byte) (batches.New, error) {
	digest, err := digestOf(body)
	if err != nil {
		return batches.New{}, err
	}
	fields, err := readBody(body)
	if err != nil {
		return batches.New{}, err
	}
	var asked newBatch
	for _, m := range fields {
		want, ok := batchFields[m.name]
		if !ok {
			return batches.New{}, jobs.Invalid("/"+m.name, "is not a known field")
		}
		if json.Unmarshal(object{m}.encode(), &asked) != nil {
			return batches.New{}, jobs.Invalid("/"+m.name, "must be %s", want)
		}
	}
	n := batches.New{
		Endpoint: asked.Endpoint, Window: asked.Window, Metadata: asked.Metadata,
		Repeat: batches.Repeat{Key: surface.SyncKey + hex.EncodeToString(digest[:]), Fingerprint: digest},
	}
	if asked.Output != nil {
		if asked.Output.Anchor != "created_at" {
			return batches.New{}, jobs.Invalid("/output_expires_after/anchor", "must be created_at")
		}
		if asked.Output.Seconds <= 0 || asked.Output.Seconds > int64(batches.MostOutputTTL/time.Second) {
			return batches.New{}, jobs.Invalid("/output_expires_after/seconds", "must be %d to %d",
				int(batches.LeastOutputTTL.Seconds()), int(batches.MostOutputTTL.Seconds()))
		}
		n.OutputTTL = time.Duration(asked.Output.Seconds) * time.Second
	}
	if asked.Input != "" {
		if n.Input, err = surface.ParseID(asked.Input); err != nil {
			return batches.New{}, batches.ErrNoInput
		}
	}
	return n, nil
}

// listBatches is GET /v1/batches.
func (s *Surface) listBatches(x *exchange) error {
	q := batches.Query{Tenant: x.caller.Tenant}
	var err error
	if q.Limit, err = limitOf(x, 20, 100); err != nil {
		return err
	}
	if q.Before, err = afterOf(x); err != nil { // the list is newest first
		return err
	}
	ctx, cancel := s.storeContext(x.r.Context())
	defer cancel()
	page, more, err := s.cfg.Batches.List(ctx, q)
	if err != nil {
		return err
	}
	data := make([]batchJSON, len(page))
	for i, b := range page {
		data[i] = encodeBatch(b)
	}
	return surface.WriteJSON(x.w, http.StatusOK, newList(data, more, func(b batchJSON) string { return b.ID }))
}
