package batches_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/providers"
)

// keeps is a store that keeps what it is given.
type keeps struct {
	batches.BatchStore

	created []batches.Batch
	// page is what is listed, answers those that there are.
	page    []batches.Batch
	asked   []batches.Query
	answers []batches.Answer
	failed  error
}

func (k *keeps) CreateBatch(_ context.Context, b batches.Batch, _ batches.Repeat) (batches.Batch, bool, error) {
	k.created = append(k.created, b)
	return b, false, k.failed
}

func (k *keeps) Batches(_ context.Context, q batches.Query) ([]batches.Batch, error) {
	k.asked = append(k.asked, q)
	return k.page[:min(len(k.page), q.Limit)], nil
}

func (k *keeps) Answers(_ context.Context, q batches.AnswerQuery) (page []batches.Answer, err error) {
	for _, a := range k.answers {
		if at := int64(a.N); at > q.After && len(page) < q.Limit {
			page = append(page, a)
		}
	}
	if len(page) == 0 {
		err = k.failed
	}
	return page, err
}

func newService(k *keeps) *batches.Service {
	queue := queuetest.New()
	return batches.NewService(k, queue, jobs.NewService(nil, queue, jobs.NewCatalog(nil, nil, jobs.Route{})).CheckPolicy)
}

func TestCreate(t *testing.T) {
	t.Parallel()
	k := &keeps{}
	n := batches.New{Tenant: "acme", Endpoint: providers.Embeddings, Input: uuid.New(), Metadata: map[string]string{"a": "b"}}
	b, _, err := newService(k).Create(t.Context(), n)
	if err != nil || len(k.created) != 1 || b.Status != batches.StatusValidating || b.Window != "24h" || b.Input != n.Input ||
		b.Deadline.Sub(b.CreatedAt) != 24*time.Hour || b.ID == uuid.Nil || b.Output == uuid.Nil || b.Errors == b.Output {
		t.Errorf("got %+v (%v)", b, err)
	}
	n.Deadline = time.Now().Add(90 * time.Minute)
	if b, _, err = newService(k).Create(t.Context(), n); err != nil || b.Window != "1h30m0s" || !b.Deadline.Equal(n.Deadline.Truncate(time.Microsecond)) {
		t.Errorf("with a deadline: got %s until %s (%v)", b.Window, b.Deadline, err)
	}
	n.Deadline, n.Window = time.Time{}, "90m"
	if b, _, err = newService(k).Create(t.Context(), n); err != nil || b.Deadline.Sub(b.CreatedAt) != 90*time.Minute {
		t.Errorf("with a window: got %s (%v)", b.Deadline.Sub(b.CreatedAt), err)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 17 {
		many[fmt.Sprint(i)] = ""
	}
	for pointer, change := range map[string]func(*batches.New){
		"/endpoint":              func(n *batches.New) { n.Endpoint = "/v1/models" },
		"/input_file_id":         func(n *batches.New) { n.Input = uuid.Nil },
		"/completion_window":     func(n *batches.New) { n.Window = "1 day" },
		"/completion_window ":    func(n *batches.New) { n.Window = "-1h" },
		"/completion_window  ":   func(n *batches.New) { n.Window = "169h" },
		"/completion_window   ":  func(n *batches.New) { n.Window, n.Deadline = "1h", time.Now().Add(time.Hour) },
		"/deadline":              func(n *batches.New) { n.Deadline = time.Now().Add(-time.Second) },
		"/deadline ":             func(n *batches.New) { n.Deadline = time.Now().Add(8 * 24 * time.Hour) },
		"/output_expires_after":  func(n *batches.New) { n.OutputTTL = time.Minute },
		"/output_expires_after ": func(n *batches.New) { n.OutputTTL = batches.MostOutputTTL + time.Second },
		"/concurrency":           func(n *batches.New) { n.Policy.Concurrency = -1 },
		"/metadata":              func(n *batches.New) { n.Metadata = many },
		"/cache/max_age":         func(n *batches.New) { n.Policy.MaxAge = -1 },
		"/user":                  func(n *batches.New) { n.Policy.User = strings.Repeat("x", 300) },
		"/use_case":              func(n *batches.New) { n.Policy.UseCase = "none such" },
	} {
		n := batches.New{Tenant: "acme", Endpoint: providers.ChatCompletions, Input: uuid.New()}
		change(&n)
		k := &keeps{}
		_, _, err := newService(k).Create(t.Context(), n)
		e, ok := errors.AsType[*jobs.Error](err)
		if !ok || e.Pointer != strings.TrimSpace(pointer) || len(k.created) != 0 {
			t.Errorf("%s: got %v, and %d were made", pointer, err, len(k.created))
		}
	}
}

func TestListTellsWhetherThereAreMore(t *testing.T) {
	t.Parallel()
	k := &keeps{page: make([]batches.Batch, 3)}
	for i := range k.page {
		k.page[i].ID = uuid.UUID{byte(3 - i)}
	}
	for limit, wantMore := range map[int]bool{2: true, 3: false} {
		page, more, err := newService(k).List(t.Context(), batches.Query{Tenant: "acme", Limit: limit})
		if err != nil || len(page) != limit || more != wantMore || page[0].ID != k.page[0].ID {
			t.Errorf("of 3, %d: got %d, more %t (%v)", limit, len(page), more, err)
		}
	}
	page, more, err := newService(k).List(t.Context(), batches.Query{Tenant: "acme", Limit: 2, After: uuid.UUID{1: 1}})
	if err != nil || len(page) != 2 || !more || page[1].ID != k.page[2].ID {
		t.Errorf("those after one: got %v, more %t (%v); want the nearest", page, more, err)
	}
}

func TestAnswersPagesByItself(t *testing.T) {
	t.Parallel()
	k := &keeps{}
	for n := range 10 {
		k.answers = append(k.answers, batches.Answer{Line: batches.Line{N: n + 1}})
	}
	var got []int
	for a, err := range newService(k).Answers(t.Context(), batches.AnswerQuery{Limit: 3}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, a.N)
	}
	if fmt.Sprint(got) != "[1 2 3 4 5 6 7 8 9 10]" {
		t.Errorf("got %v", got)
	}
	k.answers, k.failed = k.answers[:3], jobs.ErrNotFound
	n := 0
	for _, err := range newService(k).Answers(t.Context(), batches.AnswerQuery{Limit: 3}) {
		if n++; n == 4 && (err == nil || !strings.Contains(err.Error(), "no such batch")) {
			t.Errorf("got %v, want that there is no such batch", err)
		}
	}
	if n != 4 {
		t.Errorf("%d were told, want 3 and the error", n)
	}
}

func TestETA(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := batches.Batch{
		Status: batches.StatusInProgress, Rate: 2, Deadline: now.Add(time.Hour), Counts: batches.Counts{Pending: 15, Live: 5, Succeeded: 80},
	}
	for name, c := range map[string]struct {
		change func(*batches.Batch)
		want   time.Time
	}{
		"as it goes on":    {func(*batches.Batch) {}, now.Add(10 * time.Second)},
		"not in time":      {func(b *batches.Batch) { b.Rate = 1e-9 }, b.Deadline},
		"paused":           {func(b *batches.Batch) { b.Paused = true }, time.Time{}},
		"nothing has come": {func(b *batches.Batch) { b.Rate = 0 }, time.Time{}},
		"ended":            {func(b *batches.Batch) { b.Status, b.EndedAt = batches.StatusCompleted, now }, now},
	} {
		b := b
		if c.change(&b); !b.ETA(now).Equal(c.want) {
			t.Errorf("%s: got %s, want %s", name, b.ETA(now), c.want)
		}
	}
}

func TestLineWriter(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := batches.NewLineWriter(&out, providers.Messages)
	for _, id := range []string{"a", "\"b\"\n", ""} {
		if err := w.Write(id, []byte("{\n \"model\": \"m\",\t\"x\": \"<\\n>\" }")); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if want := `{"custom_id":"a","method":"POST","url":"/v1/messages","body":{"model":"m","x":"<\n>"}}`; lines[0] != want {
		t.Errorf("got %s, want %s", lines[0], want)
	}
	if len(lines) != 3 || w.Lines() != 3 || !json.Valid([]byte(lines[1])) {
		t.Errorf("got %d lines, the second %s", len(lines), lines[1])
	}
	for name, body := range map[string]string{"no JSON": `{"a":`, "too long": `"` + strings.Repeat("x", batches.MaxLine) + `"`} {
		e, ok := errors.AsType[*jobs.Error](w.Write("d", []byte(body)))
		if !ok || e.Pointer != "/requests/3" {
			t.Errorf("%s: got %v, want it refused at /requests/3", name, e)
		}
	}
	for range batches.MaxLines - 3 {
		if out.Reset(); w.Write("e", []byte("{}")) != nil {
			t.Fatal("refused below the most lines")
		}
	}
	if e, ok := errors.AsType[*jobs.Error](w.Write("f", []byte("{}"))); !ok || e.Pointer != "/requests" {
		t.Errorf("one too many: got %v", e)
	}
}
