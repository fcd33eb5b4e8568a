package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/webhooks"
)

// MaxAnswer is how much of an answer is read and kept, in bytes.
const MaxAnswer = 16 << 10

// answerTime is how long after its header an answer's body is waited for: it is for
// people to read, and must not hold up other deliveries.
const answerTime = time.Second

// Message is what is sent. ID and Body are the same at each attempt.
type Message struct {
	ID   string
	URL  string
	Body []byte
	// Keys sign it: more than one while an endpoint's secret is being rotated.
	Keys []webhooks.Key
	// Header is what the endpoint asks for beside the message's own headers, which
	// it cannot replace.
	Header http.Header
	// Timeout bounds the attempt from the first packet to the answer's header.
	Timeout time.Duration
}

// Attempt is what became of sending a message once.
type Attempt struct {
	Verdict Verdict
	// Failure says what went wrong; empty when the message was delivered.
	Failure Failure
	// Status is the HTTP status of the answer; zero when there was none.
	Status int
	// RetryAfter is how long a 429 or 503 asks to be left alone, at most
	// [providers.MaxHint]; zero when it does not.
	RetryAfter time.Duration
	// Latency is how long it took until the answer's header came, or until the failure.
	Latency time.Duration
	// RemoteAddr is what was connected to; empty when nothing was.
	RemoteAddr string
	// Answer is the first [MaxAnswer] bytes of the answer's body.
	Answer []byte
}

// Sender sends messages. It may be used by several goroutines.
type Sender struct {
	client    *http.Client
	userAgent string
}

// NewSender returns one that sends over the transport, which decides where it may
// connect to.
func NewSender(transport http.RoundTripper, version string) *Sender {
	return &Sender{
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		userAgent: "Penstock-Webhooks/" + version,
	}
}

// Send makes one attempt, stamped and signed now. When ctx ends before the answer is
// there, the attempt is [Broken]: nobody knows whether the endpoint has the message.
func (s *Sender) Send(ctx context.Context, m Message) Attempt {
	var a Attempt
	attempt, cancel := context.WithTimeoutCause(ctx, m.Timeout, errTimeout)
	defer cancel()
	attempt = httptrace.WithClientTrace(attempt, &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { a.RemoteAddr = c.Conn.RemoteAddr().String() },
	})
	began := time.Now()
	r, err := s.request(attempt, m, began)
	if err != nil {
		return Attempt{Verdict: Failed, Failure: FailureRequest}
	}
	res, err := s.client.Do(r)
	a.Latency = time.Since(began)
	if err != nil {
		a.Verdict, a.Failure = Failed, failureOf(attempt, err)
		if ctx.Err() != nil {
			a.Verdict = Broken
		}
		return a
	}
	defer func() { _ = res.Body.Close() }()
	a.Status = res.StatusCode
	a.Verdict, a.Failure = judge(res.StatusCode)
	if a.Verdict == Paused {
		a.RetryAfter = providers.ParseHint(res.Header, false, time.Now()).After
	}
	if a.Verdict == Paused && a.RetryAfter == 0 {
		a.Verdict = Failed
	}
	// The status has decided.
	defer time.AfterFunc(answerTime, cancel).Stop()
	a.Answer, _ = io.ReadAll(io.LimitReader(res.Body, MaxAnswer))
	return a
}

func (s *Sender) request(ctx context.Context, m Message, now time.Time) (*http.Request, error) {
	signed, err := webhooks.Sign(m.ID, now, m.Body, m.Keys...)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	for _, h := range []http.Header{m.Header, signed, {
		"Content-Type": {"application/json"}, "User-Agent": {s.userAgent},
	}} {
		maps.Copy(r.Header, h)
	}
	return r, nil
}

var errTimeout = errors.New("the endpoint's timeout is over")
