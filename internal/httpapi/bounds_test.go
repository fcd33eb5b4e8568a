package httpapi

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func TestHost(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: granting(), Hosts: []string{"penstock.example"}})
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:8080": 200, "127.9.9.9": 200, "[::1]:8080": 200,
		"penstock.example": 200, "Penstock.Example:443": 200,
		"evil.example": 403, "localhost.evil.example:8080": 403, "10.0.0.1": 403, "127.0.0.1.evil.example": 403,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://penstock/v1/jobs/"+someID, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		if got, err := h.send(r); err != nil || got.status != want {
			t.Errorf("Host %q: %d, %v, want %d", host, got.status, err, want)
		}
	}
	if anyHost := start(t, Config{Service: granting()}); anyHost.do("GET", "/v1/jobs/"+someID, "").status != 200 {
		t.Error("without Hosts, a name is refused")
	}
}

// The bytes of all bodies are bounded as they arrive and until their job is
// kept: what was only announced takes nothing from others.
func TestBodiesTogetherAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keeping := make(chan struct{})
		service := granting()
		service.submit = func(n jobs.NewJob) (jobs.Submitted, error) {
			if len(n.Request) > 500 {
				<-keeping
			}
			return jobs.Submitted{Job: queued()}, nil
		}
		h := start(t, Config{Service: service, MaxBodies: 1000})
		large := `{"request":{"model":"default","messages":[{"role":"user","content":"` + strings.Repeat("x", 550) + `"}]}}`
		answers := make(chan int, 2)
		post := func(body io.Reader) {
			a, err := h.try(context.Background(), "POST", "/v1/jobs", body)
			if err != nil {
				t.Error(err)
			}
			answers <- a.status
		}
		late, more := io.Pipe()
		go post(late)
		go func() { _, _ = io.WriteString(more, large[:300]) }()
		synctest.Wait()
		go post(strings.NewReader(large)) // 300 + 620
		synctest.Wait()
		third := h.do("POST", "/v1/jobs", large)
		if third.status != 429 || third.header.Get("Retry-After") == "" || third.problem(t).Code != "rate_limited" {
			t.Errorf("beyond the bound: %d %v %s", third.status, third.header, third.body)
		}
		close(keeping)
		synctest.Wait()
		if got := <-answers; got != 202 {
			t.Errorf("the second: %d", got)
		}
		_, _ = io.WriteString(more, large[300:])
		_ = more.Close()
		if got := <-answers; got != 202 {
			t.Errorf("the first, late: %d", got)
		}
		if used := h.api.bodies.used.Load(); used != 0 {
			t.Errorf("%d bytes are still counted", used)
		}
		time.Sleep(time.Minute)
	})
}
