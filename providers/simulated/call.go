package simulated

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// maxRequestBytes bounds a request's body.
const maxRequestBytes = 64 << 20

// errLeft is what the wait of a call ends with when its caller is gone or the
// server closes.
var errLeft = errors.New("the caller left")

// exchange is one call being answered.
type exchange struct {
	server  *Server
	words   *dialect
	model   string
	header  http.Header
	w       http.ResponseWriter
	ctx     context.Context //nolint:containedctx // it lives as long as the one request it belongs to
	faults  Faults
	limiter *limiter
	fate    fate
	hash    [sha256.Size]byte
	body    []byte
	end     func(outcome string)
}

// call wraps the answering of one endpoint in what all have in common: the
// log, outages, limits, and the faults that need no answer. words is the
// endpoint's dialect.
func (s *Server) call(words *dialect, answer func(*exchange) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
		if err != nil {
			writeJSON(w, http.StatusRequestEntityTooLarge, words.body(words.wrong, "the body is too large or was cut"))
			return
		}
		x := s.begin(w, r, words, body)
		defer x.end("left")
		if s.away(x) || !x.admitted() {
			return
		}
		defer x.limiter.leave()
		if x.failEarly() {
			return
		}
		switch err := answer(x); {
		case errors.Is(err, errLeft):
			panic(http.ErrAbortHandler) // returning would end the answer as if it were whole
		case err == nil:
			x.end("ok")
		}
	}
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request, words *dialect, body []byte) *exchange {
	x := &exchange{
		server: s, words: words, header: r.Header, w: w, ctx: r.Context(), hash: sha256.Sum256(body), body: body,
	}
	x.faults, x.limiter = s.current()
	x.fate = x.faults.drawFate(s.fates.draws(s.seed, x.hash))
	x.model = words.model(r, body)
	x.end = s.log.begin(Call{
		Time:           time.Now(),
		Endpoint:       r.URL.Path,
		Model:          x.model,
		IdempotencyKey: r.Header.Get("Idempotency-Key"),
		BodySHA256:     hex.EncodeToString(x.hash[:]),
	})
	w.Header().Set(words.idHeader, "req_"+hex.EncodeToString(x.hash[16:28]))
	return x
}

// away answers as an outage does, if there is one.
func (s *Server) away(x *exchange) bool {
	now := time.Now()
	o := x.faults.outageAt(s.started, now)
	if o == nil {
		return false
	}
	x.end("outage")
	if o.Mode == Status {
		x.refuse(refusal{status: o.Status, kind: x.words.failed.kind}, "simulated outage", o.RetryAfter)
		return true
	}
	if o.Mode == Hang {
		_ = x.wait(o.end(s.started).Sub(now))
	}
	panic(http.ErrAbortHandler)
}

func (x *exchange) admitted() bool {
	wait, ok := x.limiter.admit(time.Now(), x.w.Header(), x.words)
	if ok {
		return true
	}
	x.end("limited")
	after := ""
	if x.words.hinted == nil {
		setWait(x.w.Header(), wait)
	} else {
		after = strconv.FormatFloat(roundUp(wait, time.Millisecond).Seconds(), 'f', -1, 64)
	}
	x.refuse(x.words.refusals[string(providers.RateLimited)], "simulated rate limit reached", after)
	return false
}

// failEarly acts out the faults that come instead of an answer.
func (x *exchange) failEarly() bool {
	if as, ok := x.words.refusals[x.fate.kind]; ok {
		x.end(x.fate.kind)
		x.refuse(as, "simulated "+x.fate.kind, x.retryAfter())
		return true
	}
	switch x.fate.kind {
	case KindConnection:
		x.end(x.fate.kind)
		panic(http.ErrAbortHandler)
	case KindEmpty:
		x.end(x.fate.kind)
		x.w.WriteHeader(http.StatusOK)
		return true
	case KindErrorIn200:
		x.end(x.fate.kind)
		writeJSON(x.w, http.StatusOK, x.words.body(x.words.failed, "simulated failure"))
		return true
	case KindSlowHeaders:
		if x.wait(orForEver(x.faults.SlowFor)) != nil {
			panic(http.ErrAbortHandler)
		}
		return false
	default:
		return false
	}
}

// retryAfter is the hint of the faults it makes sense for.
func (x *exchange) retryAfter() string {
	switch x.fate.kind {
	case "rate_limited", "overloaded", "server_error":
		return x.faults.RetryAfter
	default:
		return ""
	}
}

// refuse says when to come again where the format does so, unless retryAfter is
// empty.
func (x *exchange) refuse(as refusal, message, retryAfter string) {
	body := x.words.body(as, message)
	switch {
	case retryAfter == "":
	case x.words.hinted != nil:
		body = x.words.hinted(as, message, retryAfter)
	default:
		x.w.Header().Set("Retry-After", retryAfter)
	}
	writeJSON(x.w, as.status, body)
}

// wrong refuses a request that is wrong in itself.
func (x *exchange) wrong(message string) error {
	x.end("refused")
	x.refuse(x.words.wrong, message, "")
	return errors.New(message)
}

// wait returns errLeft when nobody waits any more.
func (x *exchange) wait(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-x.ctx.Done():
		return errLeft
	case <-x.server.closing:
		return errLeft
	}
}

// orForEver is d, or longer than any call when it is zero.
func orForEver(d Duration) time.Duration {
	const forEver = 100 * 365 * 24 * time.Hour
	if d == 0 {
		return forEver
	}
	return time.Duration(d)
}
