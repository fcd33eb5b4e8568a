package months

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/e2e/history"
	"github.com/penstock-dev/penstock/jobs"
)

// askAll submits what the plan says and returns when all of it is accepted and
// the last client has lost interest.
func (f *fleet) askAll() {
	var patient sync.WaitGroup
	defer patient.Wait()
	for i, a := range f.plan.arrivals {
		time.Sleep(time.Until(f.begun.Add(a.at)))
		key := fmt.Sprint("job ", i)
		if f.ask(a, key, &patient) {
			continue
		}
		patient.Go(func() {
			for accepted := false; !accepted; accepted = f.ask(a, key, &patient) {
				time.Sleep(time.Duration(2+i%7) * time.Second)
			}
		})
	}
}

// ask submits a job once and reports whether it was accepted.
func (f *fleet) ask(a arrival, key string, patient *sync.WaitGroup) bool {
	sent := time.Now()
	got, err := f.service.Submit(f.t.Context(), jobs.NewJob{
		Tenant: a.tenant, Priority: a.priority, Timeout: a.timeout, NoDedupe: a.alone,
		Request: json.RawMessage(fmt.Sprintf(
			`{"model":%q,"messages":[{"role":"user","content":"question %d"}]}`, a.model, a.question)),
		IdempotencyKey: key, Fingerprint: sha256.Sum256([]byte(key)),
	})
	told := history.Submission{
		Key: key, Tenant: a.tenant, NoDedupe: a.alone, API: "api", Sent: sent, Answered: time.Now(), Status: 202,
	}
	if err != nil {
		told.Status, told.Code, told.RetryAfter = 500, err.Error(), "1"
		if problem, ok := errors.AsType[*jobs.Error](err); ok && problem.Code == jobs.CodeStoreUnavailable {
			told.Status, told.Code = 503, string(problem.Code)
		}
	} else {
		told.Job = got.Job.ID.String()
	}
	f.mu.Lock()
	f.seen.Submissions = append(f.seen.Submissions, told)
	f.hopeless[told.Job] = a.model == absent
	f.mu.Unlock()
	if err == nil && a.cancelAfter > 0 {
		patient.Go(func() { f.cancel(a, got.Job.ID) })
	}
	return err == nil
}

// cancel cancels a job, sooner or later.
func (f *fleet) cancel(a arrival, id uuid.UUID) {
	time.Sleep(a.cancelAfter)
	f.mu.Lock()
	f.seen.Cancels[id.String()] = true
	f.mu.Unlock()
	for {
		if _, err := f.service.Cancel(f.t.Context(), a.tenant, id); err == nil {
			return
		}
		time.Sleep(5 * time.Second)
	}
}
