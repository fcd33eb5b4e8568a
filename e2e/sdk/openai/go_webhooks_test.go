//go:build !race

package openai_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

// message is what a receiver of events got.
type message struct {
	header http.Header
	body   []byte
}

// receiver starts a server that takes the events of types of Penstock, and returns how
// the next comes and the secret that they are signed with.
func receiver(t *testing.T, c openai.Client, types string) (next func() message, secret string) {
	t.Helper()
	arrived := make(chan message, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- message{r.Header, body}
	}))
	t.Cleanup(server.Close)
	var endpoint struct{ Secret string }
	params := map[string]any{"url": server.URL, "types": []string{types}, "metadata": map[string]string{"of": t.Name()}}
	if err := c.Post(t.Context(), "webhook-endpoints", params, &endpoint); err != nil {
		t.Fatal(err)
	}
	return func() message {
		select {
		case m := <-arrived:
			return m
		case <-time.After(time.Minute):
			t.Fatal("no event arrived")
			return message{}
		}
	}, endpoint.Secret
}

// goWebhooks has a response end in each way, one after another, and unwraps what is told
// of it.
func goWebhooks(t *testing.T, c openai.Client) {
	t.Helper()
	ctx := t.Context()
	next, secret := receiver(t, c, "response.*")
	for _, want := range []struct {
		event, model string
		tokens       int64
	}{
		{"response.completed", "default", 1000},
		{"response.incomplete", "default", 3},
		{"response.failed", "bad_request", 1000},
		{"response.cancelled", "odd/slow", 1000},
	} {
		params := responseParams(want.model, "told")
		params.Background, params.MaxOutputTokens = openai.Bool(true), openai.Int(want.tokens)
		params.Metadata = map[string]string{"of": t.Name()}
		made := must[*responses.Response](t)(c.Responses.New(ctx, params))
		if want.event == "response.cancelled" {
			must[*responses.Response](t)(c.Responses.Cancel(ctx, made.ID))
		}
		m := next()
		event, err := c.Webhooks.Unwrap(m.body, m.header, option.WithWebhookSecret(secret))
		if err != nil {
			t.Fatalf("%s: %v", m.body, err)
		}
		if event.Type != want.event || event.Data.ID != made.ID || time.Since(time.Unix(event.CreatedAt, 0)).Abs() > time.Minute {
			t.Errorf("got %s, want %s of %s", m.body, want.event, made.ID)
		}
		got := must[*responses.Response](t)(c.Responses.Get(ctx, event.Data.ID, responses.ResponseGetParams{}))
		if "response."+string(got.Status) != want.event {
			t.Errorf("told as %s, and has status %s", want.event, got.Status)
		}
	}
}
