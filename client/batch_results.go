package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"
)

// ResultFilter says which lines of a batch are wanted, and in what order. The zero value is
// all that have ended, in the order of the requests.
type ResultFilter struct {
	// Status selects those that ended so; empty: all.
	Status Status
	// AsFinished is the order in which they ended.
	AsFinished bool
	// Follow goes on until the batch has ended: lines come as they end. It is for
	// AsFinished alone.
	Follow bool
	// After is the Line, or AsFinished the Seq, after which to go on.
	After int64
}

// Results goes over lines of a batch that have ended, while it runs too. A connection that
// is cut is made again, and goes on behind the last line that was seen. An error ends it.
func (c *Client) Results(ctx context.Context, id uuid.UUID, f ResultFilter) iter.Seq2[Answer, error] {
	return func(yield func(Answer, error) bool) {
		f := f // each time from its beginning
		if err := c.persist(ctx, func() (bool, error) { return c.results(ctx, id, &f, yield) }); err != nil {
			yield(Answer{}, err)
		}
	}
}

func (f ResultFilter) query() url.Values {
	q := url.Values{"after": {strconv.FormatInt(f.After, 10)}}
	if f.Status != "" {
		q.Set("status", string(f.Status))
	}
	if f.AsFinished {
		q.Set("order", "finished")
	}
	if f.Follow {
		q.Set("follow", "true")
	}
	return q
}

// results reads one connection and moves f behind what it told. It returns nil at the end,
// or when nobody wants more.
func (c *Client) results(ctx context.Context, id uuid.UUID, f *ResultFilter, yield func(Answer, error) bool) (heard bool, err error) {
	resp, err := c.try(ctx, request{method: http.MethodGet, path: batchPath(id, "/results"), query: f.query()})
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		var a Answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return heard, fmt.Errorf("client: understand a line of the results: %w", err)
		}
		if f.After = int64(a.Line); f.AsFinished {
			f.After = a.Seq
		}
		if heard = true; !yield(a, nil) {
			return heard, nil
		}
	}
	if err := lines.Err(); err != nil {
		return heard, fmt.Errorf("client: read the results: %w", err)
	}
	return heard, nil
}
