package client

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
)

const jobsPath = "/v1/jobs"

// Get returns a job as it is.
func (c *Client) Get(ctx context.Context, id uuid.UUID) (job Job, err error) {
	return job, c.ask(ctx, request{method: http.MethodGet, path: jobPath(id, "")}, &job)
}

// Wait returns a job once it has ended, however long that takes: ctx bounds it.
func (c *Client) Wait(ctx context.Context, id uuid.UUID) (Job, error) {
	for {
		asked := time.Now()
		var job Job
		r := request{method: http.MethodGet, path: jobPath(id, ""), query: url.Values{"wait": {longPoll.String()}}}
		if err := c.ask(ctx, r, &job); err != nil || job.Status.Ended() {
			return job, err
		}
		if err := pace(ctx, asked); err != nil {
			return job, err
		}
	}
}

// longPoll is how long one request waits: a little less than the API allows.
const longPoll = 55 * time.Second

// pace keeps a long-poll that was asked for at the given time and answered early, which
// the API does when it has too many, from being repeated more than once a second.
func pace(ctx context.Context, asked time.Time) error {
	return pause(ctx, time.Until(asked.Add(time.Second)))
}

// Cancel ends a job early. One that has ended already is returned as it ended.
func (c *Client) Cancel(ctx context.Context, id uuid.UUID) (job Job, err error) {
	return job, c.ask(ctx, request{method: http.MethodPost, path: jobPath(id, "/cancel")}, &job)
}

// Retry asks again what a job that has ended asked: it returns a new job. When its answer
// is lost it is not repeated by itself, for that might make two.
func (c *Client) Retry(ctx context.Context, id uuid.UUID) (job Job, err error) {
	return job, c.ask(ctx, request{method: http.MethodPost, path: jobPath(id, "/retry"), repeat: undone}, &job)
}

// Delete removes a job that has ended, with its data. One that is not there is a
// [CodeNotFound], also when it was this call, repeated, that removed it.
func (c *Client) Delete(ctx context.Context, id uuid.UUID) error {
	return c.ask(ctx, request{method: http.MethodDelete, path: jobPath(id, "")}, nil)
}

// JobFilter selects jobs. Zero fields select all.
type JobFilter struct {
	Status   Status
	Priority Priority
	// Model is as it was asked for.
	Model string
	// Batch is whose lines they are.
	Batch                       uuid.UUID
	CreatedAfter, CreatedBefore time.Time
	// Metadata are pairs that all must be there.
	Metadata map[string]string
	// PageSize is how many are asked for at a time, at most 100; zero: 100.
	PageSize int
}

// List goes over jobs, newest first, a page at a time. Results are left out: Get has them.
// An error ends it.
func (c *Client) List(ctx context.Context, f JobFilter) iter.Seq2[Job, error] {
	return pages[Job](ctx, c, jobsPath, f.query())
}

func (f JobFilter) query() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("status", string(f.Status))
	set("priority", string(f.Priority))
	set("model", f.Model)
	if f.Batch != uuid.Nil {
		set("batch_id", f.Batch.String())
	}
	if !f.CreatedAfter.IsZero() {
		set("created_after", f.CreatedAfter.Format(time.RFC3339Nano))
	}
	if !f.CreatedBefore.IsZero() {
		set("created_before", f.CreatedBefore.Format(time.RFC3339Nano))
	}
	for key, value := range f.Metadata {
		q.Set("metadata["+key+"]", value)
	}
	q.Set("limit", strconv.Itoa(pageSize(f.PageSize)))
	return q
}

const maxPage = 100

func pageSize(wanted int) int {
	if wanted <= 0 {
		return maxPage
	}
	return min(wanted, maxPage)
}

// pages goes over a list by its cursors.
func pages[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q := maps.Clone(query)
		for {
			var page struct {
				Data       []T    `json:"data"`
				NextCursor string `json:"next_cursor"`
			}
			if err := c.ask(ctx, request{method: http.MethodGet, path: path, query: q}, &page); err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, one := range page.Data {
				if !yield(one, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			q.Set("cursor", page.NextCursor)
		}
	}
}

func jobPath(id uuid.UUID, what string) string { return jobsPath + "/" + id.String() + what }
