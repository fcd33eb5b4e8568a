package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// reloading asks an API on a loopback address to reload, and holds the answer
// against openapi.yaml.
func reloading(t *testing.T, reload func() (Reloaded, error), change func(*http.Request)) (answer, *contract) {
	t.Helper()
	h := start(t, Config{Reload: reload})
	server := httptest.NewServer(h.api)
	t.Cleanup(server.Close)
	contract := newContract(t, server.Client().Transport)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL+"/v1/admin/reload", nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	res, err := (&http.Client{Transport: contract}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(body)}, contract
}

func reloads() (Reloaded, error) {
	return Reloaded{Changed: []string{"providers.a"}, Restart: []string{"hosts"}}, nil
}

func refuses() (Reloaded, error) {
	return Reloaded{}, ConfigErrors{{"providers.a.api_keys.1", "is empty"}, {"hosts", "expected names"}}
}

func TestReload(t *testing.T) {
	t.Parallel()
	got, _ := reloading(t, reloads, nil)
	if got.status != 200 || got.body != `{"object":"reload","changed":["providers.a"],"restart":["hosts"]}`+"\n" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	got, _ = reloading(t, func() (Reloaded, error) { return Reloaded{}, nil }, nil)
	if got.status != 200 || got.body != `{"object":"reload","changed":[],"restart":[]}`+"\n" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	got, _ = reloading(t, refuses, nil)
	for _, want := range []string{
		`{"pointer":"/providers/a/api_keys/1","detail":"is empty"}`, `{"pointer":"/hosts","detail":"expected names"}`,
	} {
		if got.status != 400 || !strings.Contains(got.body, want) {
			t.Errorf("got %d %s, want 400 and %s", got.status, got.body, want)
		}
	}
}

// Whoever is not on the machine does not reach the reload, nor does a page in a
// browser that is.
func TestReloadIsForTheMachine(t *testing.T) {
	t.Parallel()
	never := func() (Reloaded, error) {
		t.Error("it was reloaded")
		return Reloaded{}, nil
	}
	for name, change := range map[string]func(*http.Request){
		"another name": func(r *http.Request) { r.Host = "api.example.org" },
		"a page":       func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1") },
	} {
		if got, _ := reloading(t, never, change); got.status != 403 {
			t.Errorf("%s: got %d, want 403", name, got.status)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/v1/admin/reload", nil)
	r.RemoteAddr = "10.0.0.7:5000"
	w := httptest.NewRecorder()
	start(t, Config{Reload: never}).api.ServeHTTP(w, r)
	if w.Code != 403 {
		t.Errorf("another address: got %d, want 403", w.Code)
	}
}

// reloadAnswers gives every documented answer of the reload.
func reloadAnswers(t *testing.T) map[string]bool {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range []struct {
		reload func() (Reloaded, error)
		change func(*http.Request)
	}{
		{reloads, nil},
		{refuses, nil},
		{reloads, func(r *http.Request) { r.Host = "elsewhere" }},
		{func() (Reloaded, error) { return Reloaded{}, errors.New("defect") }, nil},
	} {
		_, contract := reloading(t, c.reload, c.change)
		for answer := range contract.seen {
			seen[answer] = true
		}
	}
	return seen
}
