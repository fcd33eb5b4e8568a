package e2e

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/postgres"
)

// balancer spreads requests over the APIs that say they are ready, as a load
// balancer does: it looks every 100 ms, and repeats nothing.
type balancer struct {
	f    *fleet
	up   []atomic.Bool
	next atomic.Int64
}

// balance returns a balancer whose looks go on until ctx ends.
func (f *fleet) balance(ctx context.Context, looking *sync.WaitGroup) *balancer {
	b := &balancer{f: f, up: make([]atomic.Bool, len(f.apis))}
	for i, n := range f.apis {
		b.up[i].Store(true)
		looking.Go(func() {
			for tick := time.NewTicker(100 * time.Millisecond); ctx.Err() == nil; <-tick.C {
				resp, err := f.client.Get("http://" + n.addr + "/readyz") //nolint:noctx // the client has a timeout
				if err == nil {
					_ = resp.Body.Close()
				}
				b.up[i].Store(err == nil && resp.StatusCode == http.StatusOK)
			}
		})
	}
	return b
}

func (b *balancer) pick() *node {
	for range b.up {
		if i := int(b.next.Add(1)) % len(b.up); b.up[i].Load() {
			return b.f.apis[i]
		}
	}
	return b.f.apis[0] // which will fail, as it should
}

// ask makes one request that must succeed.
func (b *balancer) ask(method, path, body string, header ...string) (answer, error) {
	n := b.pick()
	a, err := b.f.ask(context.Background(), n, method, path, body, header...)
	if err == nil && a.status >= http.StatusBadRequest {
		err = fmt.Errorf("%d %s", a.status, a.code)
	}
	if err != nil {
		err = fmt.Errorf("%s %s of %s: %w", method, path, n.name, err)
	}
	return a, err
}

// follow reads a job's stream to its end, by way of as many connections as it
// takes: a process that stops ends its streams.
func (b *balancer) follow(id string) error {
	last := ""
	for {
		n := b.pick()
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+n.addr+"/v1/jobs/"+id+"/events", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Last-Event-ID", last)
		resp, err := b.f.client.Do(req)
		if err != nil {
			return fmt.Errorf("follow a job at %s: %w", n.name, err)
		}
		over, err := readEvents(resp, &last)
		if over || err != nil {
			return err
		}
	}
}

func readEvents(resp *http.Response, last *string) (over bool, err error) {
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, errors.New("events: " + resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			*last = id
		}
		over = over || lines.Text() == "event: done"
	}
	return over, lines.Err()
}

// visit is what one user does: ask and wait, ask and look, ask and watch, list.
func (b *balancer) visit(round int, prompt string) (string, error) {
	body := fmt.Sprintf(`{"request":{"model":"default","messages":[{"role":"user","content":%q}]}}`, prompt)
	if round%3 == 0 {
		a, err := b.ask(http.MethodPost, "/v1/jobs", body, "Prefer", "wait=10")
		return a.ID, err
	}
	a, err := b.ask(http.MethodPost, "/v1/jobs", body)
	if err != nil {
		return "", err
	}
	if round%3 == 1 {
		return a.ID, b.follow(a.ID)
	}
	if _, err = b.ask(http.MethodGet, "/v1/jobs/"+a.ID+"?wait=10s", ""); err != nil {
		return "", err
	}
	_, err = b.ask(http.MethodGet, "/v1/jobs?limit=5", "")
	return a.ID, err
}

var older = flag.String("older", "", "folder with the programs of an older Penstock, with which TestRollingReplacement begins")

// weeks makes old weeks and drops them, again and again until ctx ends, beside the
// processes that do so as well. It tells how often all of them went.
func (f *fleet) weeks(ctx context.Context) (dropped int) {
	for ctx.Err() == nil {
		s, err := postgres.Open(ctx, postgres.Config{URL: f.database, NoMigrate: true})
		if err != nil { // not migrated yet
			continue
		}
		now := time.Now()
		_ = s.Maintain(ctx, now.AddDate(-1, 0, 0)) // what is not to be had at once is left for the next time
		if _, err := s.Retain(ctx, jobs.Retention{Default: 30 * 24 * time.Hour}, now); err == nil {
			dropped++
		}
		_ = s.Close()
	}
	return dropped
}

// Every process is replaced, one after another, under load, while old weeks are
// dropped: no request fails, no call is made twice, and no job is lost. When they
// are replaced by those of another version, they are replaced back as well.
func TestRollingReplacement(t *testing.T) {
	t.Parallel()
	f := startFleet(t, setup{apis: 2, workers: 2, concurrency: 40, faults: slow, programs: *older})
	ctx, stop := context.WithCancel(t.Context())
	var working, looking sync.WaitGroup
	b := f.balance(ctx, &looking)
	var mu sync.Mutex
	var ids []string
	for user := range 24 {
		working.Go(func() {
			for round := 0; ctx.Err() == nil; round++ {
				id, err := b.visit(round, fmt.Sprintf("question %d of user %d", round, user)) //nolint:contextcheck // none is cut off
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
			}
		})
	}
	var dropped int
	looking.Go(func() { dropped = f.weeks(ctx) })
	f.replace("")
	if *older != "" {
		f.replace(*older)
	}
	stop()
	working.Wait()
	looking.Wait()
	f.allSucceeded(ids)
	if n := len(f.calls()); n != len(ids) {
		t.Errorf("%d calls for %d jobs", n, len(ids))
	}
	t.Logf("%d jobs, and no request failed; weeks were dropped %d times", len(ids), dropped)
}

// replace stops each process in turn and starts it again with the programs of
// the given folder, or with those that were built.
func (f *fleet) replace(programs string) {
	f.t.Helper()
	for _, n := range f.nodes() {
		if code := n.terminate(f.t); code != 0 {
			f.t.Errorf("%s: exit code %d, want 0", n.name, code)
		}
		n.program = filepath.Join(programs, filepath.Base(n.program))
		n.again()
		ready(f.t, n.addr)
	}
}
