package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/penstock-dev/penstock/internal/surface"
)

// exchange is one request and its answer, with what the log line tells of it.
type exchange struct {
	echo.Context

	started   time.Time
	requestID string
	// tenant is empty outside /v1.
	tenant string
	// job is the one asked for or made; zero when there is none.
	job uuid.UUID
	// batch is the one asked for or made.
	batch uuid.UUID
	// webhook is the endpoint, the delivery or the replay asked for or made.
	webhook uuid.UUID
	// caller is set when a surface answers, and refuse then answers failures.
	caller *surface.Caller
	refuse func(http.ResponseWriter, *http.Request, error)
	// failure is what went wrong, if anything did; code is that of the problem
	// it was answered with.
	failure error
	code    string
	// aborted says that the connection is closed without a (whole) answer.
	aborted bool
}

// of returns the exchange that begin made of c.
func of(c echo.Context) *exchange {
	x, ok := c.(*exchange)
	if !ok {
		panic("httpapi: handler outside of begin")
	}
	return x
}

// begin names the request, bounds its answer, and tells of it when it is over.
func (a *API) begin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := &exchange{Context: c, started: time.Now(), requestID: requestID(c.Request().Header)}
		x.header().Set(headerRequestID, x.requestID)
		x.header().Set("X-Content-Type-Options", "nosniff")
		if a.draining.Load() {
			x.header().Set("Connection", "close") // the next request is for another process
		}
		a.boundConnection(x)
		err := next(x)
		a.metrics.observe(x)
		a.logLine(x)
		if x.aborted {
			panic(http.ErrAbortHandler)
		}
		return err
	}
}

// boundConnection gives the body, if there is one, BodyTimeout to arrive, and
// the answer WriteTimeout from its first byte, however long the request waits
// in between. The first holds for a body that nobody reads, too: net/http
// reads on when the answer is out. A writer without deadlines is a test's
// recorder.
func (a *API) boundConnection(x *exchange) {
	conn := http.NewResponseController(x.Response().Writer)
	if x.Request().ContentLength != 0 {
		_ = conn.SetReadDeadline(time.Now().Add(a.cfg.BodyTimeout))
	}
	x.Response().Before(func() { _ = conn.SetWriteDeadline(time.Now().Add(a.cfg.WriteTimeout)) })
}

// answerErrors answers a failure as a problem. A client that has left gets no
// answer, and one that has got part of an answer gets no more: for both the
// connection is closed.
func answerErrors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := of(c)
		err := next(x)
		if err == nil {
			return nil
		}
		x.failure = err
		if x.left(err) || x.Response().Committed {
			x.aborted = true
			return nil
		}
		if x.refuse != nil {
			x.refuse(x.Response(), x.Request(), err)
			return nil
		}
		p := problemOf(err, x.Request().Method)
		p.RequestID, x.code = x.requestID, string(p.Code)
		x.aborted = writeProblem(x, p) != nil
		return nil
	}
}

// left reports whether err is that the client closed its connection. The
// context alone does not tell: it also ends when a body is late.
func (x *exchange) left(err error) bool {
	return x.Request().Context().Err() != nil && errors.Is(err, context.Canceled)
}

// panicked is a panic as an error.
type panicked struct {
	// what is the panic's value if it is an error, else its type: a string
	// could hold anything.
	what  string
	stack []byte
}

func (p *panicked) Error() string { return "panic: " + p.what }

// panicError returns a panic's value as an error, with the stack it came from.
func panicError(v any) *panicked {
	what := fmt.Sprintf("%T", v)
	if e, ok := v.(error); ok {
		what = e.Error()
	}
	return &panicked{what: what, stack: debug.Stack()}
}

func recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			v := recover()
			if e, ok := v.(error); ok && errors.Is(e, http.ErrAbortHandler) {
				panic(v)
			}
			if v != nil {
				err = panicError(v)
			}
		}()
		return next(c)
	}
}

func (x *exchange) header() http.Header { return x.Response().Header() }

// storeContext bounds one use of the service.
func (a *API) storeContext(x *exchange) (context.Context, context.CancelFunc) {
	return context.WithTimeout(x.Request().Context(), a.cfg.StoreTimeout)
}

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 128
)

// requestID returns the caller's name for the request if it is one: up to 128
// letters, digits and ._:/+=- characters. Else it makes one.
func requestID(h http.Header) string {
	id := h.Get(headerRequestID)
	if id == "" || len(id) > maxRequestID {
		return uuid.NewString()
	}
	for _, c := range []byte(id) {
		if !nameByte(c) {
			return uuid.NewString()
		}
	}
	return id
}

// nameByte reports whether c may be in a name that a caller gives to a request.
func nameByte(c byte) bool {
	return alphanumeric(c) || c == '.' || c == '_' || c == '-' || c == ':' || c == '/' || c == '+' || c == '='
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
