//go:build !race

// Built once: with the race detector the SDK alone takes minutes to compile.

package openai_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"github.com/penstock-dev/penstock/e2e/sdk/sdktest"
)

func client(url string, options ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(url + "/v1"), option.WithAPIKey("any"), option.WithMaxRetries(0),
	}, options...)...)
}

func chatParams(model, content string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(content)},
	}
}

func responseParams(model, input string) responses.ResponseNewParams {
	return responses.ResponseNewParams{Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(input)}}
}

// must fails the test unless err is nil.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestGo(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	c := client(s.URL)
	for name, test := range map[string]func(*testing.T, openai.Client){
		"models": goModels, "chat": goChat, "embeddings": goEmbeddings, "responses": goResponses, "background": goBackground,
		"resume": goResume, "files": goFiles, "batches": goBatches, "errors": goErrors, "abort": goAbort, "webhooks": goWebhooks,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

func goModels(t *testing.T, c openai.Client) {
	t.Helper()
	var names []string
	for pages := c.Models.ListAutoPaging(t.Context()); ; {
		if !pages.Next() {
			if err := pages.Err(); err != nil {
				t.Fatal(err)
			}
			break
		}
		names = append(names, pages.Current().ID)
	}
	if !slices.Contains(names, "default") || !slices.Contains(names, "openai/sim-1") {
		t.Errorf("got %q", names)
	}
	if m := must[*openai.Model](t)(c.Models.Get(t.Context(), "openai/sim-1")); m.ID != "openai/sim-1" || m.OwnedBy != "openai" {
		t.Errorf("got %+v", m)
	}
}

func goChat(t *testing.T, c openai.Client) {
	t.Helper()
	got := must[*openai.ChatCompletion](t)(c.Chat.Completions.New(t.Context(), chatParams("default", "whole")))
	if got.Choices[0].Message.Content == "" || got.Usage.TotalTokens == 0 {
		t.Errorf("got %s", got.RawJSON())
	}
	params := chatParams("default", "streamed")
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.Chat.Completions.NewStreaming(t.Context(), params)
	defer stream.Close()
	var whole openai.ChatCompletionAccumulator
	for stream.Next() {
		if !whole.AddChunk(stream.Current()) {
			t.Errorf("a chunk is of another completion: %s", stream.Current().RawJSON())
		}
	}
	if err := stream.Err(); err != nil || whole.Choices[0].Message.Content == "" || whole.Usage.TotalTokens == 0 {
		t.Errorf("got %+v, error %v", whole.ChatCompletion, err)
	}
}

func goEmbeddings(t *testing.T, c openai.Client) {
	t.Helper()
	got := must[*openai.CreateEmbeddingResponse](t)(c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: "default", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("text")},
	}))
	if len(got.Data) != 1 || len(got.Data[0].Embedding) == 0 {
		t.Errorf("got %s", got.RawJSON())
	}
}

func goResponses(t *testing.T, c openai.Client) {
	t.Helper()
	ctx := t.Context()
	params := responseParams("default", "whole")
	params.Metadata = map[string]string{"a": "b"}
	got := must[*responses.Response](t)(c.Responses.New(ctx, params))
	if got.OutputText() == "" || got.Status != "completed" || got.Metadata["a"] != "b" {
		t.Errorf("got %s", got.RawJSON())
	}
	stream := c.Responses.NewStreaming(ctx, responseParams("claude/sim-1", "streamed"))
	defer stream.Close()
	var text, end string
	for n := int64(0); stream.Next(); n++ {
		e := stream.Current()
		if text, end = text+e.AsResponseOutputTextDelta().Delta, e.Type; e.SequenceNumber != n {
			t.Errorf("event %d has the number %d", n, e.SequenceNumber)
		}
	}
	if err := stream.Err(); err != nil || text == "" || end != "response.completed" {
		t.Errorf("got %q up to %s, error %v", text, end, err)
	}
	items := c.Responses.InputItems.ListAutoPaging(ctx, got.ID, responses.InputItemListParams{Limit: openai.Int(1)})
	if !items.Next() || items.Current().AsMessage().Content[0].Text != "whole" || items.Next() || items.Err() != nil {
		t.Errorf("the input is %s, error %v", items.Current().RawJSON(), items.Err())
	}
	if err := c.Responses.Delete(ctx, got.ID); err != nil {
		t.Error(err)
	}
	_, err := c.Responses.Get(ctx, got.ID, responses.ResponseGetParams{})
	mustBe(t, err, http.StatusNotFound, "not_found")
}

func goBackground(t *testing.T, c openai.Client) {
	t.Helper()
	ctx := t.Context()
	params := responseParams("default", "later")
	params.Background = openai.Bool(true)
	got := must[*responses.Response](t)(c.Responses.New(ctx, params))
	for got.Status == "queued" || got.Status == "in_progress" {
		pause(t)
		got = must[*responses.Response](t)(c.Responses.Get(ctx, got.ID, responses.ResponseGetParams{}))
	}
	if got.Status != "completed" || got.OutputText() == "" || !got.Background {
		t.Errorf("got %s", got.RawJSON())
	}
	params.Model = "odd/slow"
	live := must[*responses.Response](t)(c.Responses.New(ctx, params))
	for range 2 {
		if live = must[*responses.Response](t)(c.Responses.Cancel(ctx, live.ID)); live.Status != "cancelled" {
			t.Errorf("got %s", live.RawJSON())
		}
	}
}

// goResume cuts a stream behind every few events, and goes on.
func goResume(t *testing.T, c openai.Client) {
	t.Helper()
	params := responseParams("chatty/slow", "cut and cut again")
	params.Background = openai.Bool(true)
	ctx, cancel := context.WithCancel(t.Context())
	stream := c.Responses.NewStreaming(ctx, params)
	var id, text string
	var last int64
	for done, round := false, 0; !done; round++ {
		if round > 50 {
			t.Fatalf("no end after %q", text)
		}
		for n := 0; n < 10 && stream.Next(); n++ {
			e := stream.Current()
			if id == "" {
				id = e.Response.ID
			} else if e.SequenceNumber != last+1 {
				t.Errorf("number %d follows %d", e.SequenceNumber, last)
			}
			text, last = text+e.AsResponseOutputTextDelta().Delta, e.SequenceNumber
			done = e.Type == "response.completed"
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		cancel()
		_ = stream.Close()
		ctx, cancel = context.WithCancel(t.Context()) //nolint:fatcontext // not within the one before
		stream = c.Responses.GetStreaming(ctx, id, responses.ResponseGetParams{StartingAfter: openai.Int(last)})
	}
	cancel()
	_ = stream.Close()
	whole := must[*responses.Response](t)(c.Responses.Get(t.Context(), id, responses.ResponseGetParams{}))
	if text == "" || whole.OutputText() != text {
		t.Errorf("got %q in pieces, want %q", text, whole.OutputText())
	}
}

func goUpload(t *testing.T, c openai.Client, content string) *openai.FileObject {
	t.Helper()
	return must[*openai.FileObject](t)(c.Files.New(t.Context(), openai.FileNewParams{
		File: openai.File(strings.NewReader(content), "input.jsonl", "application/jsonl"), Purpose: openai.FilePurposeBatch,
	}))
}

func goFiles(t *testing.T, c openai.Client) {
	t.Helper()
	ctx := t.Context()
	f := goUpload(t, c, "one\ntwo")
	if got := must[*openai.FileObject](t)(c.Files.Get(ctx, f.ID)); got.Bytes != 7 || got.Filename != "input.jsonl" {
		t.Errorf("got %s", got.RawJSON())
	}
	goUpload(t, c, "three")
	found := false
	for pages := c.Files.ListAutoPaging(ctx, openai.FileListParams{Limit: openai.Int(1)}); pages.Next(); {
		found = found || pages.Current().ID == f.ID
	}
	if !found {
		t.Error("the file is not in the list")
	}
	if got := goContent(t, c, f.ID); got != "one\ntwo" {
		t.Errorf("got %q", got)
	}
	if got := must[*openai.FileDeleted](t)(c.Files.Delete(ctx, f.ID)); !got.Deleted {
		t.Errorf("got %s", got.RawJSON())
	}
	_, err := c.Files.Get(ctx, f.ID)
	mustBe(t, err, http.StatusNotFound, "not_found")
}

func goContent(t *testing.T, c openai.Client, id string) string {
	t.Helper()
	res := must[*http.Response](t)(c.Files.Content(t.Context(), id)) //nolint:bodyclose // it is, on the next line
	defer res.Body.Close()
	return string(must[[]byte](t)(io.ReadAll(res.Body)))
}

func goBatches(t *testing.T, c openai.Client) {
	t.Helper()
	ctx := t.Context()
	f := goUpload(t, c, `{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"default","input":"one"}}`)
	params := openai.BatchNewParams{InputFileID: f.ID, Endpoint: "/v1/embeddings", CompletionWindow: "24h"}
	b := must[*openai.Batch](t)(c.Batches.New(ctx, params))
	for b.CompletedAt == 0 {
		pause(t)
		b = must[*openai.Batch](t)(c.Batches.Get(ctx, b.ID))
	}
	if b.RequestCounts.Completed != 1 || !strings.Contains(goContent(t, c, b.OutputFileID), `"custom_id":"a"`) {
		t.Errorf("got %s", b.RawJSON())
	}
	if got := must[*openai.Batch](t)(c.Batches.Cancel(ctx, b.ID)); got.Status != openai.BatchStatusCompleted {
		t.Errorf("cancelled when it had ended: got %s", got.RawJSON())
	}
	again := must[*openai.Batch](t)(c.Batches.New(ctx, params))
	var ids []string
	for pages := c.Batches.ListAutoPaging(ctx, openai.BatchListParams{Limit: openai.Int(1)}); pages.Next(); {
		ids = append(ids, pages.Current().ID)
	}
	if !slices.Equal(ids, []string{again.ID, b.ID}) {
		t.Errorf("listed %q", ids)
	}
}

// mustBe says that err is the API's, with this status and code.
func mustBe(t *testing.T, err error, status int, code string) {
	t.Helper()
	e, ok := errors.AsType[*openai.Error](err)
	if !ok || e.StatusCode != status || e.Code != code {
		t.Errorf("got %v, want %d %s", err, status, code)
	}
}

func goErrors(t *testing.T, c openai.Client) {
	t.Helper()
	for model, want := range map[string]struct {
		status int
		code   string
	}{
		"bad_request": {400, "bad_request"}, "context_length": {400, "context_length_exceeded"}, "authentication": {401, "authentication"},
		"permission": {403, "permission"}, "not_found": {404, "not_found"}, "quota_exhausted": {429, "insufficient_quota"},
		"none": {404, "model_not_found"},
	} {
		_, err := c.Chat.Completions.New(t.Context(), chatParams(model, "fail"))
		mustBe(t, err, want.status, want.code)
		_, err = c.Responses.New(t.Context(), responseParams(model, "fail"))
		mustBe(t, err, want.status, want.code)
	}
}

// goAbort leaves in the middle of a stream: then its call serves nobody, and is cut.
func goAbort(t *testing.T, c openai.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var res *http.Response
	stream := c.Chat.Completions.NewStreaming(ctx, chatParams("odd/slow", "abort"), option.WithResponseInto(&res))
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	cancel()
	_ = stream.Close()
	var job struct{ Status string }
	for job.Status != "cancelled" {
		pause(t)
		if err := c.Get(t.Context(), "jobs/"+res.Header.Get("Penstock-Job"), nil, &job); err != nil || job.Status == "succeeded" {
			t.Fatalf("the job has %s, error %v", job.Status, err)
		}
	}
}

// The answer to the first try is lost, and the second has the same.
func TestGoRetries(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	ctx, again := t.Context(), option.WithMaxRetries(2)
	lost := func() openai.Client { return client(sdktest.CutOnce(t, s.URL, http.MethodPost), again) }
	c := lost()
	must[*openai.ChatCompletion](t)(c.Chat.Completions.New(ctx, chatParams("default", "lost")))
	c = lost()
	must[*responses.Response](t)(c.Responses.New(ctx, responseParams("default", "lost")))
	if got := s.Calls(); got != 2 {
		t.Errorf("the provider was called %d times for 2 requests", got)
	}
	c = client(s.URL)
	f := goUpload(t, c, `{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"default","input":"one"}}`)
	params := openai.BatchNewParams{InputFileID: f.ID, Endpoint: "/v1/embeddings", CompletionWindow: "24h"}
	retried := lost()
	b := must[*openai.Batch](t)(retried.Batches.New(ctx, params))
	list := must[[]openai.Batch](t)(listed(ctx, c))
	if len(list) != 1 || list[0].ID != b.ID {
		t.Errorf("%d batches were made, want 1", len(list))
	}
}

func listed(ctx context.Context, c openai.Client) (all []openai.Batch, err error) {
	pages := c.Batches.ListAutoPaging(ctx, openai.BatchListParams{})
	for pages.Next() {
		all = append(all, pages.Current())
	}
	return all, pages.Err()
}
