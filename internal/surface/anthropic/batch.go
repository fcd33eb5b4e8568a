package anthropic

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// batchJSON is a message batch. Times are RFC 3339.
type batchJSON struct {
	ID                string     `json:"id"`
	Type              string     `json:"type"`
	ProcessingStatus  string     `json:"processing_status"`
	RequestCounts     countsJSON `json:"request_counts"`
	CreatedAt         time.Time  `json:"created_at"`
	ExpiresAt         time.Time  `json:"expires_at"`
	EndedAt           *time.Time `json:"ended_at"`
	CancelInitiatedAt *time.Time `json:"cancel_initiated_at"`
	ArchivedAt        *time.Time `json:"archived_at"`
	ResultsURL        *string    `json:"results_url"`
}

// countsJSON says what has become of the requests so far. The hosted service tells so
// at the end alone.
type countsJSON struct {
	Processing int `json:"processing"`
	Succeeded  int `json:"succeeded"`
	Errored    int `json:"errored"`
	Canceled   int `json:"canceled"`
	Expired    int `json:"expired"`
}

func (s *Surface) encodeBatch(x *exchange, b batches.Batch) batchJSON {
	out := batchJSON{
		ID: surface.MessageBatchID(b.ID), Type: "message_batch", ProcessingStatus: statusOf(b.Status),
		RequestCounts: countsOf(b), CreatedAt: b.CreatedAt, ExpiresAt: b.Deadline,
		EndedAt: timeOrNull(b.EndedAt), CancelInitiatedAt: timeOrNull(b.CancellingAt),
	}
	if b.Status.Terminal() {
		out.ResultsURL = new(s.address(x.r) + "/v1/messages/batches/" + out.ID + "/results")
	}
	return out
}

func statusOf(s batches.Status) string {
	switch {
	case s.Terminal():
		return "ended"
	case s == batches.StatusCancelling:
		return "canceling"
	default:
		return "in_progress"
	}
}

// countsOf counts the requests. Of a batch that failed none was run: all are errors.
func countsOf(b batches.Batch) countsJSON {
	c := b.Counts
	total := c.Total
	if made, _ := strconv.Atoi(b.Metadata[requestsKey]); total == 0 { // until all have been read
		total = max(made, 0)
	}
	if b.Status == batches.StatusFailed {
		return countsJSON{Errored: max(total, b.ProblemCount)}
	}
	return countsJSON{
		Processing: total - c.Ended(), Succeeded: c.Succeeded, Errored: c.Failed, Canceled: c.Cancelled, Expired: c.Expired,
	}
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// address is where the caller can reach the surface: where the configuration says, or
// where it just did.
func (s *Surface) address(r *http.Request) string {
	if s.cfg.PublicURL != "" {
		return s.cfg.PublicURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// batchID reads which batch is asked for.
func (x *exchange) batchID() (uuid.UUID, error) {
	id, err := surface.ParseID(x.r.PathValue("id"))
	if err != nil {
		return uuid.Nil, errNoBatch
	}
	x.Batch = id
	return id, nil
}

var errNoBatch = &jobs.Error{Code: jobs.CodeNotFound, Message: "no such message batch"}

// getBatch is GET /v1/messages/batches/{id}.
func (s *Surface) getBatch(x *exchange) error { return s.withBatch(x, s.cfg.Batches.Batch) }

// cancelBatch is POST /v1/messages/batches/{id}/cancel.
func (s *Surface) cancelBatch(x *exchange) error { return s.withBatch(x, s.cfg.Batches.Cancel) }

// withBatch answers with the batch as it is after do.
func (s *Surface) withBatch(
	x *exchange, do func(ctx context.Context, tenant string, id uuid.UUID) (batches.Batch, error),
) error {
	id, err := x.batchID()
	if err != nil {
		return err
	}
	ctx, cancel := x.storeContext()
	defer cancel()
	b, err := do(ctx, x.Tenant, id)
	if err == nil {
		x.write(http.StatusOK, s.encodeBatch(x, b))
	}
	return err
}

// deleteBatch is DELETE /v1/messages/batches/{id}: of one that has ended. The file that
// its requests were kept in goes, too.
func (s *Surface) deleteBatch(x *exchange) error {
	id, err := x.batchID()
	if err != nil {
		return err
	}
	ctx, cancel := x.storeContext()
	defer cancel()
	b, err := s.cfg.Batches.Batch(ctx, x.Tenant, id)
	if err == nil {
		err = s.cfg.Batches.Delete(ctx, x.Tenant, id)
	}
	if err != nil {
		return err
	}
	s.discard(ctx, b)
	x.write(http.StatusOK, struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}{surface.MessageBatchID(id), "message_batch_deleted"})
	return nil
}

// discard removes the file that a batch's requests were kept in if it was made here and
// nothing needs it. Else it goes with what is past its retention.
func (s *Surface) discard(ctx context.Context, b batches.Batch) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StoreTimeout)
	defer cancel()
	if f, err := s.cfg.Files.File(ctx, b.Tenant, b.Input); err == nil && f.Name == spoolName {
		_ = s.cfg.Files.Delete(ctx, b.Tenant, b.Input) // as documented
	}
}

// Bounds of a page.
const (
	defaultPage = 20
	maxPage     = 1000
)

// listBatches is GET /v1/messages/batches, newest first: those after an id are older, those
// before it newer.
func (s *Surface) listBatches(x *exchange) error {
	q, err := x.listQuery()
	if err != nil {
		return err
	}
	ctx, cancel := x.storeContext()
	defer cancel()
	page, more, err := s.cfg.Batches.List(ctx, q)
	if err != nil {
		return err
	}
	out := struct {
		Data    []batchJSON `json:"data"`
		HasMore bool        `json:"has_more"`
		FirstID *string     `json:"first_id"`
		LastID  *string     `json:"last_id"`
	}{Data: make([]batchJSON, len(page)), HasMore: more}
	for i, b := range page {
		out.Data[i] = s.encodeBatch(x, b)
	}
	if n := len(page); n > 0 {
		out.FirstID, out.LastID = &out.Data[0].ID, &out.Data[n-1].ID
	}
	x.write(http.StatusOK, out)
	return nil
}

func (x *exchange) listQuery() (batches.Query, error) {
	q := batches.Query{Tenant: x.Tenant, Limit: defaultPage}
	query := x.r.URL.Query()
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return q, jobs.Invalid("/limit", "must be from 1 to %d", maxPage)
		}
		q.Limit = n
	}
	for name, into := range map[string]*uuid.UUID{"after_id": &q.Before, "before_id": &q.After} {
		text := query.Get(name)
		if text == "" {
			continue
		}
		id, err := surface.ParseID(text)
		if err != nil {
			return q, jobs.Invalid("/"+name, "must be the id of a message batch")
		}
		*into = id
	}
	if q.Before != uuid.Nil && q.After != uuid.Nil {
		return q, jobs.Invalid("/before_id", "give either before_id or after_id, not both")
	}
	return q, nil
}
