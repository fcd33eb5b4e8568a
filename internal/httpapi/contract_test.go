package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// contract is a transport that holds every answer against openapi.yaml, and
// every request that was granted.
type contract struct {
	t      testing.TB
	inner  http.RoundTripper
	doc    *openapi3.T
	router routers.Router

	mu   sync.Mutex
	seen map[string]bool
}

func init() {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/jsonl", openapi3filter.FileBodyDecoder)
}

// loadDocument is done once: it compiles much.
var loadDocument = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // whatever the host is
	return doc, doc.Validate(context.Background())
})

var loadRouter = sync.OnceValues(func() (routers.Router, error) {
	doc, err := loadDocument()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

func newContract(t testing.TB, inner http.RoundTripper) *contract {
	t.Helper()
	doc, err := loadDocument()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	router, err := loadRouter()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return &contract{t: t, inner: inner, doc: doc, router: router, seen: map[string]bool{}}
}

func (c *contract) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	answer, err := c.inner.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(got))
	if err := c.check(r, sent, answer, got); err != nil { //nolint:contextcheck // the exchange is over
		c.t.Errorf("%s %s answered %d, which openapi.yaml does not have: %v\n%s",
			r.Method, r.URL, answer.StatusCode, err, got)
	}
	return answer, nil
}

func (c *contract) check(r *http.Request, sent []byte, answer *http.Response, got []byte) error {
	if r.Method == http.MethodHead {
		return nil // it has no body to check, and GET is checked
	}
	if answer.Header.Get("X-Request-Id") == "" {
		return errors.New("there is no X-Request-Id")
	}
	r = r.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(sent))
	in := &openapi3filter.RequestValidationInput{Request: r, Options: &openapi3filter.Options{IncludeResponseStatus: true}}
	var err error
	if in.Route, in.PathParams, err = c.router.FindRoute(r); err != nil {
		in.Route, err = c.nowhere(answer.StatusCode)
		if err != nil {
			return err
		}
	} else if c.note(in.Route.Operation, answer.StatusCode); answer.StatusCode < http.StatusBadRequest {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			return fmt.Errorf("granted request: %w", err)
		}
	}
	if in.Route.Operation.Responses.Status(answer.StatusCode) == nil {
		return errors.New("status is not documented")
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: answer.StatusCode, Header: answer.Header,
		Body: io.NopCloser(bytes.NewReader(got)), Options: in.Options,
	})
}

// nowhere is what a request gets that is no operation.
func (c *contract) nowhere(status int) (*routers.Route, error) {
	name, ok := map[int]string{http.StatusNotFound: "NotFound", http.StatusMethodNotAllowed: "MethodNotAllowed"}[status]
	if !ok {
		return nil, errors.New("there is no such operation")
	}
	responses := openapi3.NewResponses(openapi3.WithStatus(status, c.doc.Components.Responses[name]))
	return &routers.Route{Spec: c.doc, Operation: &openapi3.Operation{Responses: responses}}, nil
}

func (c *contract) note(op *openapi3.Operation, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[fmt.Sprintf("%s %d", op.OperationID, status)] = true
}

// documented lists all operations with all their statuses.
func (c *contract) documented() []string {
	var all []string
	for _, item := range c.doc.Paths.Map() {
		for _, op := range item.Operations() {
			for status := range op.Responses.Map() {
				all = append(all, op.OperationID+" "+status)
			}
		}
	}
	slices.Sort(all)
	return all
}

func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("openapi is %s, want 3.1", doc.OpenAPI)
	}
}

func TestDocumentHasTheRoutesThatThereAre(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Lanes: &operator{}, Webhooks: &hooks{}, Batches: &batching{}, Files: (*files.Service)(nil)})
	served := map[string]bool{}
	for _, r := range h.api.routes() {
		served[r.method+" "+strings.ReplaceAll(r.path, ":id", "{id}")] = true
	}
	documented := map[string]bool{}
	for path, item := range h.contract.doc.Paths.Map() {
		for method := range item.Operations() {
			documented[method+" "+path] = true
		}
	}
	if !maps.Equal(served, documented) {
		t.Errorf("served:     %v\ndocumented: %v", slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(documented)))
	}
}

// Codes and their statuses are in the document as they are in the program.
func TestDocumentHasEveryCode(t *testing.T) {
	t.Parallel()
	doc, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, code := range doc.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		documented = append(documented, fmt.Sprint(code))
	}
	var known []string
	for code := range statuses {
		known = append(known, string(code))
	}
	slices.Sort(documented)
	slices.Sort(known)
	if !slices.Equal(documented, known) {
		t.Errorf("documented: %v\nknown:      %v", documented, known)
	}
}

// Whoever receives can look up every event that is sent.
func TestDocumentHasEveryEvent(t *testing.T) {
	t.Parallel()
	doc, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	want := append(delivery.Types(), delivery.EndpointTest)
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(doc.Webhooks)); !slices.Equal(got, want) {
		t.Errorf("documented %v, want %v", got, want)
	}
	var listed []string
	for _, word := range doc.Components.Schemas["EventType"].Value.Enum {
		listed = append(listed, fmt.Sprint(word))
	}
	slices.Sort(listed)
	if !slices.Equal(listed, want) {
		t.Errorf("types %v, want %v", listed, want)
	}
	for name, item := range doc.Webhooks {
		if names := len(item.Post.Parameters); names != 3 || item.Post.RequestBody.Value.Content["application/json"].Examples["event"] == nil {
			t.Errorf("%s has %d headers, want 3 and an example", name, names)
		}
	}
}

// What couriers write of a job is what the document says.
func TestDocumentHasTheEventOfAJob(t *testing.T) {
	t.Parallel()
	doc, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	schema := doc.Components.Schemas["JobEvent"].Value
	for name, job := range map[string]delivery.Job{
		"thin":    {},
		"result":  delivery.Job{}.WithResult(json.RawMessage(`{"a":1}`)),
		"omitted": delivery.Job{}.WithResult(make(json.RawMessage, delivery.MaxResult+1)),
		"full": {
			Usage: usageJSON{InputTokens: 1}, CostUSD: new(jobs.Dollar), Error: errorJSON{Code: "server_error"}, ResultExpiresAt: &noon,
		},
	} {
		job.ID, job.Object, job.Status, job.Metadata = uuid.MustParse(someID), "job", "failed", map[string]string{}
		job.CreatedAt, job.FinishedAt, job.ResultURL = noon, noon, "https://penstock.example.com/v1/jobs/"+someID
		body, err := json.Marshal(delivery.NewEnvelope(uuid.MustParse(someEvent), delivery.JobFailed, noon, job))
		if err != nil {
			t.Fatal(err)
		}
		var event map[string]any
		if err := json.Unmarshal(body, &event); err != nil {
			t.Fatal(err)
		}
		if err := schema.VisitJSON(event, openapi3.EnableJSONSchema2020()); err != nil {
			t.Errorf("%s: %v\n%s", name, err, body)
		}
		documented := doc.Components.Schemas["EndedJob"].Value.Properties
		for field := range event["data"].(map[string]any) {
			if documented[field] == nil {
				t.Errorf("%s: %s is not documented", name, field)
			}
		}
	}
}

// What OpenAI's clients unwrap is what the document says.
func TestDocumentHasTheEventOfAResponse(t *testing.T) {
	t.Parallel()
	doc, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.MustParse(someID)
	body, err := json.Marshal(delivery.NewEnvelope(uuid.MustParse(someEvent), delivery.ResponseFailed, noon, delivery.NewResponse(id)))
	if err != nil {
		t.Fatal(err)
	}
	var event map[string]any
	if err := json.Unmarshal(body, &event); err != nil {
		t.Fatal(err)
	}
	if err := doc.Components.Schemas["ResponseEvent"].Value.VisitJSON(event, openapi3.EnableJSONSchema2020()); err != nil {
		t.Errorf("%v\n%s", err, body)
	}
	if data, _ := event["data"].(map[string]any); data["id"] != surface.ResponseID(id) {
		t.Errorf("got %s, want the id %s, as the response is asked for", body, surface.ResponseID(id))
	}
}
