package openai_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/internal/surface/openai"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

// rig is a surface over a service of files, and doubles of all else.
type rig struct {
	*testing.T
	openai.Jobs

	surface *openai.Surface
	// input is that of the response that there is, batch the batch.
	input string
	batch batches.Batch
	// lost says why its answers cannot be read; else there are none.
	lost error
}

func newRig(t *testing.T) *rig {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	kept, err := files.NewService(files.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t}
	r.surface = openai.New(openai.Config{Jobs: r, Files: answering{kept, r}, Batches: batching{rig: r}})
	return r
}

// answering has the file of the answers of a batch beside those that are kept.
type answering struct {
	*files.Service

	rig *rig
}

func (a answering) File(ctx context.Context, tenant string, id uuid.UUID) (files.File, error) {
	if id == a.rig.batch.Output && id != uuid.Nil {
		return files.File{ID: id, Tenant: tenant, Batch: a.rig.batch.ID}, nil
	}
	return a.Service.File(ctx, tenant, id)
}

func (r *rig) Job(_ context.Context, tenant string, id uuid.UUID) (jobs.Job, error) {
	return jobs.Job{ID: id, Tenant: tenant, Endpoint: providers.Responses}, nil
}

func (r *rig) Request(context.Context, string, uuid.UUID) (jobs.Request, error) {
	return jobs.Request{Body: []byte(r.input)}, nil
}

// batching has the batch.
type batching struct {
	openai.Batches

	rig *rig
}

func (b batching) Batch(context.Context, string, uuid.UUID) (batches.Batch, error) {
	return b.rig.batch, nil
}

func (b batching) Answers(context.Context, batches.AnswerQuery) iter.Seq2[batches.Answer, error] {
	return func(yield func(batches.Answer, error) bool) {
		if b.rig.lost != nil {
			yield(batches.Answer{}, b.rig.lost)
		}
	}
}

// served is the server's part in one request. It counts what is read.
type served struct {
	surface.Server

	body io.Reader
	read int
}

func (s *served) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	s.read += n
	return n, err
}

func (s *served) Upload(int64) io.Reader { return s }

func (s *served) ReadBody() ([]byte, func(), error) {
	body, err := io.ReadAll(s)
	return body, func() {}, err
}

// reply is what was answered, who asked, and how much was read for it.
type reply struct {
	*httptest.ResponseRecorder

	caller *surface.Caller
	read   int
}

func (r *rig) do(method, path, body string, headers ...string) reply {
	r.Helper()
	s := &served{body: strings.NewReader(body)}
	c := &surface.Caller{Tenant: "acme", WriteTimeout: time.Minute, Server: s}
	req := httptest.NewRequestWithContext(surface.WithCaller(r.Context(), c), method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	w.Code = 0 // until there is an answer
	r.surface.ServeHTTP(w, req)
	return reply{w, c, s.read}
}

// upload posts a form of these parts.
func (r *rig) upload(parts ...string) reply {
	r.Helper()
	body := "--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
	return r.do("POST", "/v1/files", body, "Content-Type", "multipart/form-data; boundary=b")
}

const (
	purposePart = "Content-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch"
	filePart    = "Content-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n"
)

// TestFilesOfAnyLength are given back as they came.
func TestFilesOfAnyLength(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, n := range []int{0, 1, 64 << 10, 64<<10 + 1, 1<<20 + 1} {
		content := strings.Repeat("x", n)
		made := r.upload(purposePart, filePart+content)
		if made.Code != http.StatusOK {
			t.Fatalf("%d bytes: got %d %s", n, made.Code, made.Body)
		}
		got := r.do("GET", "/v1/files/"+surface.FileID(made.caller.File)+"/content", "")
		if got.Code != http.StatusOK || got.Body.String() != content {
			t.Errorf("%d bytes: got %d and %d bytes", n, got.Code, got.Body.Len())
		}
	}
}

// TestFormsAreBounded: beside the file little is read of a form, whatever it has.
func TestFormsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	long := strings.Repeat("x", 1<<20)
	for name, parts := range map[string][]string{
		"a header": {"X-Long: " + long + "\r\n" + purposePart, filePart + "x"},
		"headers":  {strings.Repeat("X-Many: y\r\n", 9_000) + purposePart, filePart + "x"},
		"a field":  {purposePart + long, filePart + "x"},
		"behind":   {filePart + "x", "X-Long: " + long + "\r\n" + purposePart},
	} {
		if got := r.upload(parts...); got.Code != http.StatusBadRequest || got.read > 1<<17 {
			t.Errorf("%s: got %d after %d bytes: %s", name, got.Code, got.read, got.Body)
		}
	}
	if got := r.upload(purposePart, filePart+long); got.Code != http.StatusOK {
		t.Errorf("a file: got %d %s", got.Code, got.Body)
	}
}

// TestWhatIsWrongWithAFormIsNotQuoted: a form has what is to be known to nobody else.
func TestWhatIsWrongWithAFormIsNotQuoted(t *testing.T) {
	t.Parallel()
	const secret = "a secret prompt"
	r := newRig(t)
	for _, parts := range [][]string{
		{secret + "\r\n\r\nbatch"},
		{purposePart + "\r\n--b" + secret},
		{"Content-Disposition: form-data; name=\"" + secret + "\"\r\n\r\nx"},
		{"Content-Disposition: form-data; name=\"purpose\"\r\n\r\n" + secret, filePart + secret},
	} {
		got := r.upload(parts...)
		if got.Code != http.StatusBadRequest || strings.Contains(got.Body.String(), secret) {
			t.Errorf("%q: got %d %s", parts, got.Code, got.Body)
		}
		if cause := surface.Known(got.caller.Failure).Err; cause != nil && strings.Contains(cause.Error(), secret) {
			t.Errorf("%q: the log would have %v", parts, cause)
		}
	}
}

// TestBodiesOfManyMembers are refused: they take many times the memory of their bytes.
func TestBodiesOfManyMembers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := `{"a":1`
	for i := range 10_000 {
		body += fmt.Sprintf(`,"%d":1`, i)
	}
	body += "}"
	for _, path := range []string{"/v1/responses", "/v1/batches"} {
		if got := r.do("POST", path, body); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "10000 members") {
			t.Errorf("%s: got %d %.300s", path, got.Code, got.Body)
		}
	}
}

// TestNoAnswers are an empty file; those that cannot be read are a failure with a status,
// while nothing was answered.
func TestNoAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.batch = batches.Batch{ID: uuid.Must(uuid.NewV7()), Output: uuid.Must(uuid.NewV7())}
	content := "/v1/files/" + surface.FileID(r.batch.Output) + "/content"
	if got := r.do("GET", content, ""); got.Code != http.StatusOK || got.Body.Len() > 0 {
		t.Errorf("none: got %d %s", got.Code, got.Body)
	}
	r.lost = jobs.Unavailable(errors.New("connection refused"))
	got := r.do("GET", content, "")
	if got.Code != http.StatusServiceUnavailable || got.caller.Aborted {
		t.Errorf("got %d %s, aborted %t", got.Code, got.Body, got.caller.Aborted)
	}
}

// TestInputThatIsNoItem is the caller's fault, not ours.
func TestInputThatIsNoItem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.input = `{"model":"m","input":["x"]}`
	if got := r.do("GET", "/v1/responses/"+uuid.NewString()+"/input_items", ""); got.Code != http.StatusBadRequest {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}
