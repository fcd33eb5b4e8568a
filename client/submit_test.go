package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/client"
)

// What is not said is not sent.
func TestWhatIsSubmitted(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]client.NewJob{
		`{"request":{"model":"m"}}`: {Request: map[string]string{"model": "m"}},
		`{"request":{},"endpoint":"/v1/responses","priority":"low","deadline":"2030-01-31T12:00:00Z","timeout":"1m30s","dedupe":false,` +
			`"cache":{"max_age":"1h0m0s","stale_while_revalidate":"1s","stale_if_error":"2s","no_store":true},"on_unavailable":"fail",` +
			`"use_case":"reports","user":"u","sample":2,"store":false,"webhook":{"url":"https://x"},"metadata":{"a":"b"}}`: {
			Request: struct{}{}, Endpoint: "/v1/responses", Priority: client.PriorityLow,
			Deadline: time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC), Timeout: 90 * time.Second, NoDedupe: true,
			Cache:         client.Cache{MaxAge: time.Hour, StaleWhileRevalidate: time.Second, StaleIfError: 2 * time.Second, NoStore: true},
			OnUnavailable: client.UnavailableFail, UseCase: "reports", User: "u", Sample: 2, Ephemeral: true, Webhook: "https://x",
			Metadata: map[string]string{"a": "b"},
		},
	} {
		var got, path, kind, auth string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got, path, kind, auth = string(body), r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Authorization")
			_, _ = io.WriteString(w, `{}`)
		}))
		defer server.Close()
		c := newClient(t, server.URL+"/penstock/", client.WithHeader("Authorization", "Bearer k"))
		if _, err := c.Submit(bounded(t), n); err != nil {
			t.Fatal(err)
		}
		if got != want || path != "/penstock/v1/jobs" || kind != "application/json" || auth != "Bearer k" {
			t.Errorf("%s as %s, %s: got %s, want %s", path, kind, auth, got, want)
		}
	}
}

func TestBaseURLs(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "localhost:8080", "ftp://localhost", "http://", "http://localhost?a=b", "http://local host", "http://a#b"} {
		if _, err := client.New(base); err == nil {
			t.Errorf("%q is a base URL", base)
		}
	}
}
