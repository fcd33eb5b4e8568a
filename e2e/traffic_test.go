package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/e2e/history"
)

// traffic is the clients of a fleet: they behave as the README asks them to,
// and note all that they are told.
type traffic struct {
	f    *fleet
	rand *rand.Rand
	// hurry scales the times after which clients change their minds, and the
	// shortest deadlines; 1 is 20 s and 43 s at most.
	hurry float64

	mu sync.Mutex
	// seen is the history so far.
	seen history.History
	// known are the accepted jobs, by the tenant whose they are.
	known   []string
	tenants map[string]string
	again   map[string]bool // jobs that were retried
	// batches are the accepted ones.
	batches []knownBatch
	// loses reports whether the answer to a request for a batch, or for its file, is lost on
	// its way; nil: none is.
	loses func(key string) bool
	turn  int
	// errands are what goes on by itself, such as cancelling.
	errands sync.WaitGroup
}

func newTraffic(f *fleet, p plan) *traffic {
	return &traffic{
		f: f, hurry: p.hurry, rand: rand.New(rand.NewPCG(p.seed, 1)), tenants: map[string]string{}, again: map[string]bool{},
		seen: history.History{Cancels: map[string]bool{}, Retries: map[string]string{}},
	}
}

// submit takes the submissions in with so many callers, each of which repeats
// until it knows, and returns when all are accepted.
func (c *traffic) submit(ctx context.Context, all []submission, callers int) {
	next := make(chan submission)
	var busy sync.WaitGroup
	for range callers {
		busy.Go(func() {
			for s := range next {
				c.insist(ctx, s)
			}
		})
	}
	for _, s := range all {
		next <- s
	}
	close(next)
	busy.Wait()
}

// trickle goes on submitting, one each interval, until ctx ends, and returns
// when all of it is accepted, or insisting ends.
func (c *traffic) trickle(ctx, insisting context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var busy sync.WaitGroup
	defer busy.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s := c.drawOne()
			busy.Go(func() { c.insist(insisting, s) })
		}
	}
}

// insist repeats a submission with its key until an API accepts it. 503 and a
// lost connection mean that nobody knows: then it asks another API.
func (c *traffic) insist(ctx context.Context, s submission) {
	var sent time.Time
	a, ok := c.repeat(ctx, s.key, func(api *node, _ int) (a answer, err error) {
		a, sent, err = c.try(ctx, api, s)
		return a, err
	})
	if ok {
		c.accepted(ctx, s, a, sent)
	}
}

// repeat asks one API after another, and says how often it did before, until one accepts,
// and reports whether one did.
func (c *traffic) repeat(ctx context.Context, what string, ask func(api *node, again int) (answer, error)) (answer, bool) {
	api := c.anyAPI()
	for again := 0; ctx.Err() == nil; again++ {
		a, err := ask(api, again)
		if err == nil && a.status < http.StatusBadRequest {
			return a, true
		}
		if err == nil && a.status < http.StatusInternalServerError {
			c.f.t.Errorf("%s: refused with %d %s", what, a.status, a.code)
			return a, false
		}
		seconds, _ := strconv.Atoi(a.retryAfter) // of an answer that never came: zero
		pause(ctx, max(200*time.Millisecond, time.Duration(seconds)*time.Second))
		api = c.otherAPI(api)
	}
	return answer{}, false
}

func (c *traffic) try(ctx context.Context, api *node, s submission) (a answer, sent time.Time, err error) {
	sent = time.Now()
	a, err = c.f.ask(ctx, api, http.MethodPost, "/v1/jobs", s.body, "Idempotency-Key", s.key, "Penstock-Tenant", s.tenant)
	try := history.Submission{
		Key: s.key, Tenant: s.tenant, NoDedupe: s.noDedupe, API: api.name, Sent: sent, Answered: time.Now(),
	}
	if err == nil {
		try.Status, try.Code, try.RetryAfter, try.Job = a.status, a.code, a.retryAfter, a.ID
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Submissions = append(c.seen.Submissions, try)
	return a, sent, err
}

func (c *traffic) accepted(ctx context.Context, s submission, a answer, sent time.Time) {
	c.know(a.ID, s.tenant)
	c.sight(a.job, sent)
	if s.cancelAfter > 0 {
		// The errand outlives who submitted, and ends even if no API ever answers.
		ctx, over := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		c.errands.Go(func() {
			defer over()
			pause(ctx, s.cancelAfter)
			c.cancel(ctx, a.ID, s.tenant)
		})
	}
}

func (c *traffic) know(id, tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tenants[id] == "" {
		c.known = append(c.known, id)
		c.tenants[id] = tenant
	}
}

// sight notes what was told of a job.
func (c *traffic) sight(j job, sent time.Time) {
	s := history.Sighting{Job: j.ID, Sent: sent, Answered: time.Now(), Status: j.Status}
	if j.Error != nil {
		s.Outcome = j.Error.Code
	} else if len(j.Result) > 0 && string(j.Result) != "null" {
		s.Outcome = digest(j.Result)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Sightings = append(c.seen.Sightings, s)
}

// digest stands for a result, however its JSON is spaced.
func digest(result []byte) string {
	var value any
	if err := json.Unmarshal(result, &value); err != nil {
		return "not JSON"
	}
	canonical, err := json.Marshal(value)
	if err != nil {
		return "not JSON"
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:8])
}

// cancel repeats until it is known to have worked.
func (c *traffic) cancel(ctx context.Context, id, tenant string) {
	c.mu.Lock()
	c.seen.Cancels[id] = true
	c.mu.Unlock()
	for api := c.anyAPI(); ctx.Err() == nil; api = c.otherAPI(api) {
		sent := time.Now()
		a, err := c.f.ask(ctx, api, http.MethodPost, "/v1/jobs/"+id+"/cancel", "", "Penstock-Tenant", tenant)
		if err == nil && a.status == http.StatusAccepted {
			c.sight(a.job, sent)
			return
		}
		pause(ctx, time.Second)
	}
}

// watch looks at jobs at random until ctx ends, ended ones too, and sometimes
// asks for one that did not succeed to be made again.
func (c *traffic) watch(ctx context.Context) {
	tick := time.NewTicker(80 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if id, tenant := c.anyJob(); id != "" {
			if j, ok := c.look(ctx, c.anyAPI(), id, tenant); ok && j.done() && j.Status != "succeeded" {
				c.retry(ctx, id, tenant)
			}
		}
	}
}

// look gets a job and reports whether there was an answer.
func (c *traffic) look(ctx context.Context, api *node, id, tenant string) (job, bool) {
	sent := time.Now()
	a, err := c.f.ask(ctx, api, http.MethodGet, "/v1/jobs/"+id, "", "Penstock-Tenant", tenant)
	switch {
	case err != nil:
		return job{}, false
	case a.status == http.StatusOK:
		c.sight(a.job, sent)
		return a.job, true
	case a.status == http.StatusNotFound:
		c.sight(job{ID: id, Status: history.Missing}, sent)
	}
	return job{}, false
}

// retry asks once: a retry takes no key.
func (c *traffic) retry(ctx context.Context, id, tenant string) {
	c.mu.Lock()
	tired := c.again[id] || len(c.again) >= 100
	c.again[id] = true
	c.mu.Unlock()
	if tired {
		return
	}
	sent := time.Now()
	a, err := c.f.ask(ctx, c.anyAPI(), http.MethodPost, "/v1/jobs/"+id+"/retry", "", "Penstock-Tenant", tenant)
	if err == nil && a.status == http.StatusAccepted {
		c.mu.Lock()
		c.seen.Retries[a.ID] = id
		c.again[a.ID] = true // once is enough
		c.mu.Unlock()
		c.know(a.ID, tenant)
		c.sight(a.job, sent)
		return
	}
	c.mu.Lock()
	c.seen.LostRetries++
	c.mu.Unlock()
}

func (c *traffic) anyJob() (id, tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) == 0 {
		return "", ""
	}
	id = c.known[rand.IntN(len(c.known))]
	return id, c.tenants[id]
}

func (c *traffic) anyAPI() *node { return c.f.apis[rand.IntN(len(c.f.apis))] }

func (c *traffic) otherAPI(than *node) *node {
	for i, n := range c.f.apis {
		if n == than {
			return c.f.apis[(i+1)%len(c.f.apis)]
		}
	}
	return than
}

// pause waits for d, or less when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
