package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

const (
	defaultRetries = 5
	// firstDelay doubles with each repetition up to lastDelay.
	firstDelay = 250 * time.Millisecond
	lastDelay  = 8 * time.Second
	// patience is the longest Retry-After that is waited for.
	patience = 2 * time.Minute
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 64 << 20
)

// request is one thing asked of the API, as often as it takes.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	// body is JSON; nil: none, or what stream writes.
	body   []byte
	stream func(w io.Writer) error
	repeat repetition
}

// repetition says when asking again does no harm.
type repetition int

const (
	// always: it changes nothing, has a key, or may be done twice.
	always repetition = iota
	// undone: only when it was surely not done, for doing it again would be another thing.
	undone
	// never: what it says can be said once.
	never
)

// ask makes a request and decodes its answer into the given value, if there is one.
func (c *Client) ask(ctx context.Context, r request, into any) error {
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := readAll(resp.Body, maxAnswer)
	if err != nil {
		return fmt.Errorf("client: read the answer of %s %s: %w", r.method, r.path, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("client: understand the answer of %s %s: %w", r.method, r.path, err)
	}
	return nil
}

// send makes a request until it is answered with what was asked for, or there is no point
// in asking again. Who calls it closes the body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	for n := 0; ; n++ {
		resp, err := c.try(ctx, r)
		if err == nil {
			return resp, nil
		}
		wait := delay(n, err)
		if n == c.retries || wait > patience || !r.repeat.helps(err) {
			return nil, err
		}
		if ended := pause(ctx, wait); ended != nil {
			return nil, fmt.Errorf("client: %w before this was asked again: %w", ended, err)
		}
	}
}

// try makes a request once.
func (c *Client) try(ctx context.Context, r request) (*http.Response, error) {
	body, ended := r.open()
	defer ended()
	to := *c.base
	to.Path += r.path
	to.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, to.String(), body)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	maps.Copy(req.Header, c.header)
	maps.Copy(req.Header, r.header)
	if r.body != nil || r.stream != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		defer func() { _ = resp.Body.Close() }()
		return nil, errorOf(resp)
	}
	return resp, nil
}

// open returns the body. ended must be called once there is an answer: nothing is written
// any more then.
func (r request) open() (body io.Reader, ended func()) {
	if r.stream == nil {
		return bytes.NewReader(r.body), func() {}
	}
	from, to := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		w := bufio.NewWriterSize(to, 64<<10)
		err := r.stream(w)
		if err == nil {
			err = w.Flush()
		}
		_ = to.CloseWithError(err) // nil is the end
	}()
	return from, func() {
		_ = from.Close()
		<-written
	}
}

// finalError is one that asking again would not help.
type finalError struct{ error }

func (f finalError) Unwrap() error { return f.error }

// helps reports whether asking again may help, and does no harm.
func (r repetition) helps(err error) bool {
	_, final := errors.AsType[finalError](err)
	if r == never || final || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Status {
		case http.StatusTooManyRequests:
			return true // nothing was done
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return r == always
		default:
			return false
		}
	}
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return r == always && !distrusted
}

// persist connects until that returns nil, or there is no point in connecting again. What
// was heard makes up for failures before it.
func (c *Client) persist(ctx context.Context, connect func() (heard bool, err error)) error {
	for n := 0; ; n++ {
		asked := time.Now()
		heard, err := connect()
		if err == nil {
			return nil
		}
		if heard {
			n = 0
		}
		wait := max(delay(n, err), time.Until(asked.Add(time.Second)))
		if n == c.retries || wait > patience || !always.helps(err) {
			return err
		}
		if ended := pause(ctx, wait); ended != nil {
			return fmt.Errorf("client: %w before this was asked again: %w", ended, err)
		}
	}
}

// delay is how long to wait before the nth repetition, from 0 on: what the API said, and
// some more, so that many who were turned away together do not come back together.
func delay(n int, err error) time.Duration {
	most := min(firstDelay<<min(n, 16), lastDelay)
	jitter := rand.N(most) //nolint:gosec // nobody gains by guessing it
	if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter > 0 {
		return e.RetryAfter + jitter
	}
	return most/2 + jitter/2
}

// pause waits. It returns early, with an error, when ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// readAll reads all that r has, which is an error beyond limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return body, err
}
