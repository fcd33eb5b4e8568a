package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// mounted is a surface under the middleware of the API.
type mounted struct {
	api     *API
	surface surface.Surface
	// patterns finds the route of a request; the surface serves it.
	patterns *http.ServeMux
}

// mount has s answer all that is at and below the first two segments of its routes.
func (a *API) mount(e *echo.Echo, s surface.Surface) error {
	m := &mounted{api: a, surface: s, patterns: http.NewServeMux()}
	var prefixes []string
	for _, pattern := range s.Routes() {
		_, p, ok := strings.Cut(pattern, " ")
		segments := strings.Split(p, "/")
		if !ok || len(segments) < 3 {
			return fmt.Errorf("httpapi: the pattern %q of a surface must be a method and a path of two segments or more", pattern)
		}
		m.patterns.Handle(pattern, http.NotFoundHandler())
		if prefix := strings.Join(segments[:3], "/"); !slices.Contains(prefixes, prefix) {
			prefixes = append(prefixes, prefix)
		}
	}
	for _, prefix := range prefixes {
		e.Any(prefix, m.handle)
		e.Any(prefix+"/*", m.handle)
	}
	return nil
}

// handle puts the caller into the request's context, and has the surface answer.
func (m *mounted) handle(c echo.Context) error {
	x := of(c)
	x.caller = &surface.Caller{RequestID: x.requestID, WriteTimeout: m.api.cfg.WriteTimeout, Server: server{m.api, x}}
	x.refuse = m.surface.Refuse
	x.SetRequest(x.Request().WithContext(surface.WithCaller(x.Request().Context(), x.caller)))
	return m.api.tenanted(m.serve)(x)
}

func (m *mounted) serve(x *exchange) error {
	x.caller.Tenant = x.tenant
	if err := m.route(x); err != nil {
		return err
	}
	m.surface.ServeHTTP(x.Response(), x.Request())
	x.aborted = x.caller.Aborted || !x.Response().Committed
	return nil
}

// route finds the route's pattern, for the log and for metrics, or says that there is
// none.
func (m *mounted) route(x *exchange) error {
	r := x.Request()
	x.SetPath("")
	if path.Clean(r.URL.Path) != r.URL.Path {
		return errNoPath
	}
	_, pattern := m.patterns.Handler(r)
	if pattern != "" {
		x.SetPath(labelOf(pattern))
		return nil
	}
	if allowed := m.allowed(r); len(allowed) > 0 {
		x.header().Set("Allow", strings.Join(allowed, ", "))
		return errWrongMethod
	}
	return errNoPath
}

var (
	errNoPath      = &jobs.Error{Code: jobs.CodeNotFound, Message: "there is nothing at this path"}
	errWrongMethod = &jobs.Error{Code: surface.CodeMethodNotAllowed, Message: "this path does not take the method; see the header Allow"}
)

// allowed lists the methods that r's path takes.
func (m *mounted) allowed(r *http.Request) (methods []string) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := m.patterns.Handler(other); pattern != "" {
			methods = append(methods, method)
		}
	}
	return methods
}

// labelOf says a pattern of net/http as the other routes are said: with :id for {id}.
func labelOf(pattern string) string {
	_, p, _ := strings.Cut(pattern, " ")
	return strings.NewReplacer("{", ":", "...}", "", "}", "").Replace(p)
}

// server is what the API does for a surface in one exchange.
type server struct {
	api *API
	x   *exchange
}

var _ surface.Server = server{}

// ReadBody implements [surface.Server].
func (s server) ReadBody() ([]byte, func(), error) {
	counted := &share{of: &s.api.bodies}
	body, err := s.api.readJSON(s.x, counted)
	if err != nil {
		counted.giveBack()
		return nil, nil, err
	}
	return body, counted.giveBack, nil
}

// maxUpload bounds how long an upload may take, however steadily it comes.
const maxUpload = time.Hour

// Upload implements [surface.Server].
func (s server) Upload(limit int64) io.Reader {
	w := s.x.Response().Writer
	return &upload{
		body: http.MaxBytesReader(w, s.x.Request().Body, limit), limit: limit,
		conn: http.NewResponseController(w), timeout: s.api.cfg.BodyTimeout, until: time.Now().Add(maxUpload),
	}
}

// Wait implements [surface.Server].
func (s server) Wait() (context.Context, func(), error) {
	ctx, leave, ok := s.api.waiters.enter(s.x.Request().Context())
	switch {
	case ok:
		return ctx, leave, nil
	case s.api.draining.Load():
		return nil, nil, errStopping
	default:
		return nil, nil, errTooManyWaiters
	}
}

var (
	errStopping       = &jobs.Error{Code: surface.CodeStopping, Message: "this process is about to stop; repeat the request"}
	errTooManyWaiters = busy("as many requests wait for answers here as may; try again")
)

// upload is a body that is read as it arrives.
type upload struct {
	body    io.Reader
	limit   int64
	conn    *http.ResponseController
	timeout time.Duration
	until   time.Time
}

// Read gives each piece the time that a small body has as a whole.
func (u *upload) Read(p []byte) (int, error) {
	late := time.Now().Add(u.timeout)
	if late.After(u.until) {
		late = u.until
	}
	_ = u.conn.SetReadDeadline(late) // a test's recorder has none
	n, err := u.body.Read(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		_ = u.conn.SetReadDeadline(time.Time{}) // what follows may take longer
		return n, err
	default:
		return n, bodyError(err, u.limit, u.timeout)
	}
}
