package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/memnet"
	"github.com/penstock-dev/penstock/jobs"
)

// waiting is a Service whose job never ends: waiting for it lasts as long as it
// may.
func waiting() double {
	return double{
		submit: submits(queued()),
		job:    finds(queued()),
		wait: func(ctx context.Context, atMost time.Duration) (jobs.Job, error) {
			select {
			case <-ctx.Done():
			case <-time.After(atMost):
			}
			return queued(), nil
		},
	}
}

// Neither the deadline of the body nor that of the answer cuts a wait short.
func TestWaitsOutlastDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Service: waiting(), BodyTimeout: time.Second, WriteTimeout: time.Second})
		for range 2 { // the second on the same connection
			began := time.Now()
			if a := h.do("POST", "/v1/jobs", smallest, "Prefer", "wait=60"); a.status != 202 || time.Since(began) != time.Minute {
				t.Errorf("%d after %s", a.status, time.Since(began))
			}
			began = time.Now()
			if a := h.do("GET", jobPath+"?wait=2m", ""); a.status != 200 || time.Since(began) != time.Minute {
				t.Errorf("%d after %s", a.status, time.Since(began))
			}
		}
	})
}

func TestWaitersBeyondTheLimitAreAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Service: waiting(), MaxWaiters: 2})
		waited := make(chan time.Duration, 3)
		for range 3 {
			go func() {
				began := time.Now()
				h.do("GET", jobPath+"?wait=30s", "")
				waited <- time.Since(began)
			}()
			synctest.Wait()
		}
		if got := <-waited; got != 0 {
			t.Errorf("the third waited %s", got)
		}
		for range 2 {
			if got := <-waited; got != 30*time.Second {
				t.Errorf("one of the first two waited %s", got)
			}
		}
		began := time.Now()
		h.do("GET", jobPath+"?wait=30s", "")
		if time.Since(began) != 30*time.Second {
			t.Errorf("once there is room again: waited %s", time.Since(began))
		}
	})
}

// Stopping answers those who wait with the job as it is, and lets others
// finish.
func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := waiting()
		service.list = func(jobs.JobQuery) ([]jobs.Job, bool, error) {
			time.Sleep(10 * time.Second)
			return nil, false, nil
		}
		h := start(t, Config{Service: service})
		began := time.Now()
		type finished struct {
			answer
			after time.Duration
		}
		waiter, slow := make(chan finished, 1), make(chan finished, 1)
		go func() { waiter <- finished{h.do("GET", jobPath+"?wait=60s", ""), time.Since(began)} }()
		go func() { slow <- finished{h.do("GET", "/v1/jobs", ""), time.Since(began)} }()
		synctest.Wait()
		time.Sleep(time.Second)
		h.stop()
		if f := <-waiter; f.status != 200 || f.after != time.Second || !strings.Contains(f.body, "queued") {
			t.Errorf("waiter: %d after %s", f.status, f.after)
		}
		if f := <-slow; f.status != 200 || f.after != 10*time.Second {
			t.Errorf("slow one: %d after %s", f.status, f.after)
		}
		if err := <-h.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := h.try(t.Context(), "GET", "/healthz", nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestStopGivesUpOnWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := start(t, Config{DrainTimeout: 5 * time.Second, Service: double{
			list: func(jobs.JobQuery) ([]jobs.Job, bool, error) { <-release; return nil, false, nil },
		}})
		failed := make(chan error, 1)
		go func() {
			_, err := h.try(context.Background(), "GET", "/v1/jobs", nil)
			failed <- err
		}()
		synctest.Wait()
		began := time.Now()
		h.stop()
		if err := <-h.served; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Serve: %v", err)
		}
		if got := time.Since(began); got != 5*time.Second {
			t.Errorf("after %s", got)
		}
		if err := <-failed; err == nil {
			t.Error("the request was answered")
		}
		close(release)
	})
}

// With a drain delay load balancers see it coming, connections are not used
// again, and those who wait do so until it is over.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Service: waiting(), DrainDelay: 5 * time.Second})
		h.stop()
		synctest.Wait()
		if a := h.do("GET", "/readyz", ""); a.status != 503 || !strings.Contains(a.body, "draining") {
			t.Errorf("/readyz: %d %s", a.status, a.body)
		}
		if a := h.do("GET", "/healthz", ""); a.status != 200 {
			t.Errorf("/healthz: %d %s", a.status, a.body)
		}
		began := time.Now()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://penstock/healthz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := h.client.Do(r); err != nil || !resp.Close {
			t.Errorf("the connection is kept: %+v, %v", resp, err)
		} else {
			_ = resp.Body.Close()
		}
		if a := h.do("POST", "/v1/jobs", smallest, "Prefer", "wait=60"); a.status != 202 || time.Since(began) != 5*time.Second {
			t.Errorf("submitted: %d after %s", a.status, time.Since(began))
		}
		h.client.CloseIdleConnections()
		h.contract.inner.(*http.Transport).CloseIdleConnections()
		if err := <-h.served; err != nil || time.Since(began) < 5*time.Second {
			t.Errorf("Serve: %v after %s", err, time.Since(began))
		}
	})
}

func TestServeSaysThatItsListenerFailed(t *testing.T) {
	t.Parallel()
	api, err := New(Config{Store: ping{}})
	if err != nil {
		t.Fatal(err)
	}
	l := memnet.Listen()
	_ = l.Close()
	if err := api.Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// A body that does not arrive holds its connection for as long as bodies may
// take, whether somebody reads it or not.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		head   string
		status int
		words  string
	}{
		"read":        {"POST /v1/jobs HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n", 400, "not arrive within 10s"},
		"in chunks":   {"POST /v1/jobs HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n", 400, "not arrive within 10s"},
		"refused":     {"POST /v1/jobs HTTP/1.1\r\nContent-Length: 1000\r\n", 400, "Content-Type"},
		"too large":   {"POST " + jobPath + "/cancel HTTP/1.1\r\nContent-Length: 2000\r\n", 413, "too_large"},
		"nobody asks": {"GET /healthz HTTP/1.1\r\nContent-Length: 1000\r\n", 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := start(t, Config{BodyTimeout: 10 * time.Second})
				conn, err := h.dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				began := time.Now()
				if _, err := io.WriteString(conn, c.head+"Host: x\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				answer := bufio.NewReader(conn)
				res, err := http.ReadResponse(answer, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != c.status || !bytes.Contains(body, []byte(c.words)) {
					t.Errorf("%d %s, %v", res.StatusCode, body, err)
				}
				if _, err := answer.ReadByte(); !errors.Is(err, io.EOF) || time.Since(began) > 11*time.Second {
					t.Errorf("the connection is open still, after %s: %v", time.Since(began), err)
				}
			})
		})
	}
}

// A client that does not read its answer does not hold a connection for ever.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{WriteTimeout: 10 * time.Second})
		conn, err := h.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		if _, err := conn.Write([]byte("x")); err == nil {
			t.Error("the connection is open still")
		}
	})
}

// The deadline of one answer is not that of the next on the same connection,
// which may have to be asked for its body first.
func TestKeptConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Service: granting(), WriteTimeout: 10 * time.Second})
		conn, err := h.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		answers := bufio.NewReader(conn)
		next := func(request string, want int) {
			t.Helper()
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("instead of %d: %v", want, err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%d, want %d", res.StatusCode, want)
			}
		}
		next("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200)
		time.Sleep(20 * time.Second)
		next(fmt.Sprintf("POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
			"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(smallest)), 100)
		next(smallest, 202)
	})
}

func TestStoreTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Service: hanging{}, StoreTimeout: 5 * time.Second})
		began := time.Now()
		a := h.do("POST", "/v1/jobs", smallest)
		if a.status != 503 || time.Since(began) != 5*time.Second || !strings.Contains(a.body, "unknown") {
			t.Errorf("%d after %s: %s", a.status, time.Since(began), a.body)
		}
	})
}

// hanging is a Service whose store hangs until the caller gives up.
type hanging struct{ double }

func (hanging) Submit(ctx context.Context, _ jobs.NewJob) (jobs.Submitted, error) {
	<-ctx.Done()
	return jobs.Submitted{}, ctx.Err()
}

func (hanging) Job(ctx context.Context, _ string, _ uuid.UUID) (jobs.Job, error) {
	<-ctx.Done()
	return jobs.Job{}, ctx.Err()
}

// A client that leaves frees what its request held, and is told of as 499.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Service: hanging{}})
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := h.try(ctx, "GET", jobPath, nil)
			gone <- err
		}()
		synctest.Wait()
		began := time.Now()
		leave()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if line := h.lines()[0]; line["status"] != 499.0 || time.Since(began) > time.Second {
			t.Errorf("after %s: %v", time.Since(began), line)
		}
	})
}
