package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/webhooks"
)

// receiver is an application that is told of its jobs by webhook.
type receiver struct {
	addr   string
	server *http.Server
	key    webhooks.Key

	mu sync.Mutex
	// verified are the jobs that were told of, rightly signed.
	verified map[string]bool
	refused  int
	// latest is how long after a job's end it was told of, at most.
	latest time.Duration
	// out is where each webhook is announced; nil: none is.
	out io.Writer
}

// description marks the endpoints that a demo made.
const description = "the receiver of make demo"

// listen starts a receiver and makes an endpoint for it.
func listen(ctx context.Context, c *client) (*receiver, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a receiver of webhooks: %w", err)
	}
	r := &receiver{addr: l.Addr().String(), verified: map[string]bool{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	secret, err := c.endpoint(ctx, "http://"+r.addr+"/hooks")
	if err == nil {
		r.key, err = webhooks.ParseKey(secret)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("make an endpoint for webhooks: %w", err)
	}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

// ServeHTTP takes a webhook in: an application does no more before it answers.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 1<<20))
	if err != nil {
		return
	}
	var event struct {
		Type string `json:"type"`
		Data struct {
			ID         string    `json:"id"`
			FinishedAt time.Time `json:"finished_at"`
		} `json:"data"`
	}
	err = webhooks.Verify(req.Header, body, time.Now(), r.key)
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.refused++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.out != nil && !r.verified[event.Data.ID] {
		fmt.Fprintf(r.out, "webhook, verified: %s %s\n", event.Type, event.Data.ID)
	}
	r.verified[event.Data.ID] = true
	r.latest = max(r.latest, time.Since(event.Data.FinishedAt))
	w.WriteHeader(http.StatusNoContent)
}

// announce has what comes from now on written to out.
func (r *receiver) announce(out io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = out
}

// counts returns how many of the jobs were told of, and how many messages were
// refused.
func (r *receiver) counts(jobs []job) (told, refused int, latest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range jobs {
		if r.verified[j.ID] {
			told++
		}
	}
	return told, r.refused, r.latest.Round(time.Millisecond)
}

// tell waits until all jobs were told of, and says how that went.
func (r *receiver) tell(ctx context.Context, jobs []job, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		told, refused, latest := r.counts(jobs)
		if told == len(jobs) && refused == 0 {
			fmt.Fprintf(out, "webhooks: %d of %d verified at http://%s/hooks, the last %s after its job's end\n",
				told, len(jobs), r.addr, latest)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("webhooks: %d of %d arrived in time, %d were not rightly signed", told, len(jobs), refused)
		case <-tick.C:
		}
	}
}
