package storagetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

func submitRules() []rule {
	return []rule{
		{"invariant 1: a job is kept as it was submitted", keepsAJob},
		{"a job without metadata has none", keepsNoMetadata},
		{"invariant 1: many at once are all kept", keepsManyAtOnce},
		{"a bad member fails alone", badMemberFailsAlone},
		{"invariant 9: another tenant's job does not exist", hidesOtherTenants},
		{"a closed store is unavailable", closedIsUnavailable},
		{"an open store answers a ping", openAnswersPing},
	}
}

func keepsAJob(f *fixture) {
	s := f.submission("a", withPriority(jobs.PriorityLow))
	s.Job.Metadata = map[string]string{"order": "17", "é": "\"quoted\""}
	s.Job.User = "user-1"
	s.Request.Sample = 3

	got := f.keep(s)
	want := s.Job
	want.ExecutionID, want.Status, want.WaitingOn = s.Execution, jobs.StatusQueued, jobs.WaitingOnCapacity
	if !reflect.DeepEqual(got, jobs.Submitted{Job: want, Ready: true}) {
		f.t.Fatalf("submitted:\n got %+v\nwant %+v, ready", got, want)
	}
	if j := f.live(s.Job.ID); !reflect.DeepEqual(j, want) {
		f.t.Fatalf("job:\n got %+v\nwant %+v", j, want)
	}
	request, err := f.store.Request(f.t.Context(), tenant, s.Job.ID)
	f.must(err, "read the request")
	if !reflect.DeepEqual(request, s.Request) {
		f.t.Fatalf("request:\n got %+v\nwant %+v", request, s.Request)
	}
	equal(f, len(f.calls(s.Job.ID)), 0, "calls of a job that never ran")
}

func keepsNoMetadata(f *fixture) {
	s := f.submission("a")
	f.keep(s)
	if j := f.job(s.Job.ID); len(j.Metadata) != 0 || j.User != "" {
		f.t.Fatalf("got metadata %v, user %q, want none", j.Metadata, j.User)
	}
}

// submitAll submits at once and returns each one's error.
func (f *fixture) submitAll(submissions []jobs.Submission) []error {
	f.t.Helper()
	errs := make([]error, len(submissions))
	var group sync.WaitGroup
	for i, s := range submissions {
		group.Go(func() { _, errs[i] = f.store.Submit(f.t.Context(), s) })
	}
	group.Wait()
	return errs
}

func keepsManyAtOnce(f *fixture) {
	var submissions []jobs.Submission
	for i := range 100 {
		submissions = append(submissions, f.submission(fmt.Sprint(i)))
	}
	for i, err := range f.submitAll(submissions) {
		f.must(err, "submit")
		f.live(submissions[i].Job.ID)
	}
	equal(f, len(f.ready(jobs.PriorityNormal, f.now)), 100, "ready executions")
}

func badMemberFailsAlone(f *fixture) {
	first := f.submission("first")
	f.keep(first)
	const bad = 13
	var submissions []jobs.Submission
	for i := range 40 {
		submissions = append(submissions, f.submission(fmt.Sprint(i)))
	}
	submissions[bad].Job.ID = first.Job.ID

	for i, err := range f.submitAll(submissions) {
		if i != bad {
			f.must(err, "submit beside a bad one")
			f.live(submissions[i].Job.ID)
			continue
		}
		if err == nil || errors.Is(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}) {
			f.t.Fatalf("a job id that exists: got error %v, want one that is not unavailability", err)
		}
	}
	equal(f, f.job(first.Job.ID).RequestHash, hashOf("first"), "hash of the job that was there first")
	equal(f, len(f.ready(jobs.PriorityNormal, f.now)), 40, "ready executions: the bad one left nothing behind")
}

func hidesOtherTenants(f *fixture) {
	job := f.submit("a").Job
	ctx, other := f.t.Context(), "other"
	for doing, call := range map[string]func(id uuid.UUID) error{
		"job":     func(id uuid.UUID) error { _, err := f.store.Job(ctx, other, id); return err },
		"request": func(id uuid.UUID) error { _, err := f.store.Request(ctx, other, id); return err },
		"calls":   func(id uuid.UUID) error { _, err := f.store.Calls(ctx, other, id); return err },
		"events":  func(id uuid.UUID) error { _, err := f.store.Events(ctx, other, id); return err },
		"delete":  func(id uuid.UUID) error { return f.store.Delete(ctx, other, id) },
		"cancel": func(id uuid.UUID) error {
			_, _, err := f.store.Cancel(ctx, other, id, f.at(time.Second))
			return err
		},
	} {
		f.mustBe(call(job.ID), jobs.ErrNotFound, doing+" of another tenant's job")
		f.mustBe(call(newID(f.t)), jobs.ErrNotFound, doing+" of no job")
	}
	f.live(job.ID)
	list, err := f.store.Jobs(ctx, jobs.JobQuery{Tenant: other, Limit: 10})
	f.must(err, "list jobs")
	equal(f, len(list), 0, "jobs of another tenant")
}

func closedIsUnavailable(f *fixture) {
	job := f.submit("a").Job
	f.must(f.store.Close(), "close")
	want := &jobs.Error{Code: jobs.CodeStoreUnavailable}
	_, err := f.store.Submit(f.t.Context(), f.submission("b"))
	f.mustBe(err, want, "submit to a closed store")
	_, err = f.store.Job(f.t.Context(), tenant, job.ID)
	f.mustBe(err, want, "read from a closed store")
	f.mustBe(f.store.Ping(f.t.Context()), want, "ping a closed store")
}

func openAnswersPing(f *fixture) { f.must(f.store.Ping(f.t.Context()), "ping") }
