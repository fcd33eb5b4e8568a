//go:build !race

// Built once: with the race detector the SDK alone takes minutes to compile.

package anthropic_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/penstock-dev/penstock/e2e/sdk/sdktest"
)

func newClient(url string, options ...option.RequestOption) anthropic.Client {
	return anthropic.NewClient(append([]option.RequestOption{
		option.WithoutEnvironmentDefaults(), option.WithAPIKey("any"), option.WithBaseURL(url), option.WithMaxRetries(0),
	}, options...)...)
}

func ask(model, content string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: model, MaxTokens: 64,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(content))},
	}
}

func said(m *anthropic.Message) string {
	var b strings.Builder
	for _, block := range m.Content {
		b.WriteString(block.Text)
	}
	return b.String()
}

// whole and streamed are the two ways to a message.
func whole(ctx context.Context, c anthropic.Client, params anthropic.MessageNewParams) (*anthropic.Message, error) {
	return c.Messages.New(ctx, params)
}

func streamed(ctx context.Context, c anthropic.Client, params anthropic.MessageNewParams) (*anthropic.Message, error) {
	stream := c.Messages.NewStreaming(ctx, params)
	defer stream.Close()
	m := &anthropic.Message{}
	for stream.Next() {
		if err := m.Accumulate(stream.Current()); err != nil {
			return nil, err
		}
	}
	return m, stream.Err()
}

type way struct {
	name string
	get  func(context.Context, anthropic.Client, anthropic.MessageNewParams) (*anthropic.Message, error)
}

var ways = []way{{"whole", whole}, {"streamed", streamed}}

// TestGo has anthropic-sdk-go, unmodified, make every call of the surface.
func TestGo(t *testing.T) {
	t.Parallel()
	s, u := start(t)
	client := newClient(s.URL)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for _, model := range []string{"openai/sim-1", "claude/sim-1", "gemini/sim-1"} {
				m, err := w.get(t.Context(), client, ask(model, "a message of "+model))
				if err != nil || said(m) == "" || m.StopReason == "" || m.Usage.InputTokens == 0 || m.Usage.OutputTokens == 0 {
					t.Errorf("%s: got %+v and %v", model, m, err)
				}
			}
			for _, model := range []string{"openai-tools/tools", "claude-tools/tools"} {
				tools(t, client, w, model)
			}
			failures(t, client, w)
		})
	}
	t.Run("tokens", func(t *testing.T) {
		t.Parallel()
		n, err := client.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{
			Model: "default", Messages: ask("", "a few words").Messages,
		})
		if err != nil || n.InputTokens == 0 {
			t.Errorf("got %+v and %v", n, err)
		}
	})
	t.Run("retries", func(t *testing.T) {
		t.Parallel()
		cut := newClient(sdktest.CutOnce(t, s.URL, http.MethodPost), option.WithMaxRetries(2))
		m, err := cut.Messages.New(t.Context(), ask("counted/lost", "lost"))
		if err != nil || said(m) != "call 1" || u.asked("lost") != 1 {
			t.Errorf("got %v and %v; the provider was asked %d times", m, err, u.asked("lost"))
		}
	})
	t.Run("batches", func(t *testing.T) {
		t.Parallel()
		runBatches(t, client)
	})
}

// tools has a model use tools, and gives it what they gave.
func tools(t *testing.T, client anthropic.Client, w way, model string) {
	t.Helper()
	params := ask(model, "call both, "+w.name)
	params.Tools = []anthropic.ToolUnionParam{anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{}, "weather")}
	m, err := w.get(t.Context(), client, params)
	if err != nil {
		t.Errorf("%s: %v", model, err)
		return
	}
	var inputs []string
	var results []anthropic.ContentBlockParamUnion
	for _, block := range m.Content {
		if block.Type == "tool_use" {
			inputs = append(inputs, string(block.Input))
			results = append(results, anthropic.NewToolResultBlock(block.ID, "sunny", false))
		}
	}
	if want := `[{"city":"Oslo"} {"city":"Kairo"}]`; fmt.Sprint(inputs) != want || m.StopReason != anthropic.StopReasonToolUse {
		t.Errorf("%s: got %v and %s, want %s", model, inputs, m.StopReason, want)
	}
	params.Messages = append(params.Messages, m.ToParam(), anthropic.NewUserMessage(results...))
	if m, err = w.get(t.Context(), client, params); err != nil || said(m) != "sunny, sunny" {
		t.Errorf("%s: got %v and %v", model, m, err)
	}
}

func failures(t *testing.T, client anthropic.Client, w way) {
	t.Helper()
	for model, want := range map[string]struct {
		status int
		kind   string
	}{
		"openai-tools/status-400": {400, "invalid_request_error"},
		"claude-tools/status-403": {403, "permission_error"},
		"openai-tools/status-404": {404, "not_found_error"},
		"no-such-model":           {404, "not_found_error"},
	} {
		_, err := w.get(t.Context(), client, ask(model, "fail "+w.name))
		e, ok := errors.AsType[*anthropic.Error](err)
		if !ok || e.StatusCode != want.status || string(e.Type()) != want.kind || e.RequestID == "" {
			t.Errorf("%s: got %v, want %+v", model, err, want)
		}
	}
}

func batchOf(ids ...string) anthropic.MessageBatchNewParams {
	var params anthropic.MessageBatchNewParams
	for _, id := range ids {
		params.Requests = append(params.Requests, anthropic.MessageBatchNewParamsRequest{
			CustomID: id, Params: anthropic.MessageBatchNewParamsRequestParams{
				Model: "claude/sim-1", MaxTokens: 32, Messages: ask("", "of "+id).Messages,
			},
		})
	}
	return params
}

// runBatches makes batches, lists, reads, cancels and deletes them.
func runBatches(t *testing.T, client anthropic.Client) {
	t.Helper()
	ctx := t.Context()
	var made []string
	for i := range 3 {
		b, err := client.Messages.Batches.New(ctx, batchOf(fmt.Sprint("first-", i), fmt.Sprint("second-", i)))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, b.ID)
	}
	pages := client.Messages.Batches.ListAutoPaging(ctx, anthropic.MessageBatchListParams{Limit: anthropic.Int(1)})
	var listed []string
	for pages.Next() {
		listed = append(listed, pages.Current().ID)
	}
	slices.Reverse(listed)
	if err := pages.Err(); err != nil || !slices.Equal(listed, made) {
		t.Errorf("listed %v (%v), want %v", listed, err, made)
	}
	b := awaitBatch(t, client, made[0])
	if b.RequestCounts.Succeeded != 2 || b.ResultsURL == "" {
		t.Errorf("got %+v", b)
	}
	results := client.Messages.Batches.ResultsStreaming(ctx, b.ID, anthropic.MessageBatchResultsParams{})
	defer results.Close()
	var ids []string
	for results.Next() {
		ids = append(ids, results.Current().CustomID+" "+results.Current().Result.Type)
	}
	if err := results.Err(); err != nil || fmt.Sprint(ids) != "[first-0 succeeded second-0 succeeded]" {
		t.Errorf("got %v and %v", ids, err)
	}
	if _, err := client.Messages.Batches.Cancel(ctx, made[1], anthropic.MessageBatchCancelParams{}); err != nil {
		t.Error(err)
	}
	for _, id := range made {
		awaitBatch(t, client, id)
		if d, err := client.Messages.Batches.Delete(ctx, id, anthropic.MessageBatchDeleteParams{}); err != nil || d.ID != id {
			t.Errorf("delete: got %+v and %v", d, err)
		}
	}
	_, err := client.Messages.Batches.Get(ctx, made[0], anthropic.MessageBatchGetParams{})
	if e, ok := errors.AsType[*anthropic.Error](err); !ok || e.StatusCode != http.StatusNotFound {
		t.Errorf("a batch that was deleted: got %v", err)
	}
}

// awaitBatch returns a batch once it has ended.
func awaitBatch(t *testing.T, client anthropic.Client, id string) *anthropic.MessageBatch {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := client.Messages.Batches.Get(ctx, id, anthropic.MessageBatchGetParams{})
		if err != nil {
			t.Fatal(err)
		}
		if b.ProcessingStatus == anthropic.MessageBatchProcessingStatusEnded {
			return b
		}
		<-tick.C
	}
}
