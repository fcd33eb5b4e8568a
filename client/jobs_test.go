package client_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/client"
)

func TestJob(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t, ""), bounded(t)
	submitted, err := c.Submit(ctx, client.NewJob{
		Request: chat("default", "a"), Priority: client.PriorityHigh, Timeout: time.Hour, Metadata: map[string]string{"order": "1842"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if submitted.ID == uuid.Nil || submitted.Priority != client.PriorityHigh || submitted.Metadata["order"] != "1842" {
		t.Errorf("submitted: %+v", submitted)
	}
	if left := submitted.Deadline.Sub(submitted.CreatedAt); left != time.Hour {
		t.Errorf("the deadline is %s away, want an hour", left)
	}
	job, err := c.Wait(ctx, submitted.ID)
	if err != nil {
		t.Fatal(err)
	}
	var answer completion
	if err := job.Decode(&answer); err != nil || len(answer.Choices) != 1 || answer.Choices[0].Message.Content == "" {
		t.Errorf("decode: %v, %s", err, job.Result)
	}
	if job.Status != client.StatusSucceeded || job.Provider != "sim" || job.Usage == nil || job.Usage.OutputTokens == 0 || job.Error != nil {
		t.Errorf("ended: %+v", job)
	}
	if again, err := c.Get(ctx, job.ID); err != nil || again.Status != job.Status || !slices.Equal(again.Result, job.Result) {
		t.Errorf("get: %+v, %v", again, err)
	}
}

func TestEndsOfJobs(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t, ""), bounded(t)
	bad, err := c.Submit(ctx, client.NewJob{Request: chat("bad", "b")})
	if err == nil {
		bad, err = c.Wait(ctx, bad.ID)
	}
	if err != nil || bad.Status != client.StatusFailed || bad.Result != nil {
		t.Fatalf("a job whose request is no good: %+v, %v", bad, err)
	}
	var why *client.JobError
	if err := bad.Decode(new(any)); !errors.As(err, &why) || why.Code != "bad_request" {
		t.Errorf("decode: %v", err)
	}
	slow, err := c.Submit(ctx, client.NewJob{Request: chat("slow", "c")})
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.Decode(new(any)); err == nil {
		t.Error("a job that has not ended has a result")
	}
	cancelled, err := c.Cancel(ctx, slow.ID)
	if err != nil || cancelled.Status != client.StatusCancelled || cancelled.Error.Code != "cancelled" {
		t.Errorf("cancel: %+v, %v", cancelled, err)
	}
	again, err := c.Retry(ctx, slow.ID)
	if err != nil || again.ID == slow.ID || again.Status.Ended() {
		t.Errorf("retry: %+v, %v", again, err)
	}
	if err := c.Delete(ctx, again.ID); codeOf(err) != client.CodeConflict {
		t.Errorf("delete a live job: %v", err)
	}
	if err := c.Delete(ctx, slow.ID); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := c.Get(ctx, slow.ID); codeOf(err) != client.CodeNotFound {
		t.Errorf("get what was deleted: %v", err)
	}
}

func codeOf(err error) client.Code {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Code
	}
	return ""
}

// What is refused for good is told with all that the API said, and at once.
func TestErrors(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	at := between(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		asked.Add(1)
		next.ServeHTTP(w, r)
	})
	c, ctx := newClient(t, at), bounded(t)
	_, err := c.Submit(ctx, client.NewJob{Request: chat("default", "x"), Timeout: -time.Second})
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != 400 || e.Code != client.CodeInvalidField || e.RequestID == "" || len(e.Fields) != 1 || e.Fields[0].Pointer != "/timeout" {
		t.Errorf("got %+v (%v)", e, err)
	}
	if !strings.Contains(err.Error(), "400 invalid_field: /timeout") {
		t.Errorf("in words: %v", err)
	}
	if _, err := c.Submit(ctx, client.NewJob{Request: chat("gpt-9", "x")}); codeOf(err) != client.CodeUnknownModel {
		t.Errorf("unknown model: %v", err)
	}
	if _, err := c.Submit(ctx, client.NewJob{Request: make(chan int)}); err == nil {
		t.Error("a channel is a request")
	}
	if got := asked.Load(); got != 2 {
		t.Errorf("%d requests were made, want 2", got)
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	mine, others, ctx := newClient(t, ""), newClient(t, ""), bounded(t)
	job, err := mine.Submit(ctx, client.NewJob{Request: chat("default", "d")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := others.Get(ctx, job.ID); codeOf(err) != client.CodeNotFound {
		t.Errorf("another's job: %v", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t, ""), bounded(t)
	var want []uuid.UUID
	for i := range 5 {
		job, err := c.Submit(ctx, client.NewJob{
			Request: chat("default", strings.Repeat("l", i+1)), Metadata: map[string]string{"odd": []string{"no", "yes"}[i%2]},
		})
		if err != nil {
			t.Fatal(err)
		}
		want = append([]uuid.UUID{job.ID}, want...)
	}
	for _, f := range []struct {
		client.JobFilter

		want []uuid.UUID
	}{
		{client.JobFilter{}, want},
		{client.JobFilter{PageSize: 2}, want},
		{client.JobFilter{PageSize: 1000}, want},
		{client.JobFilter{Model: "default", Priority: client.PriorityNormal, CreatedAfter: time.Now().Add(-time.Hour)}, want},
		{client.JobFilter{CreatedBefore: time.Now().Add(-time.Hour)}, nil},
		{client.JobFilter{Metadata: map[string]string{"odd": "yes"}, PageSize: 1}, []uuid.UUID{want[1], want[3]}},
	} {
		var got []uuid.UUID
		for job, err := range c.List(ctx, f.JobFilter) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, job.ID)
		}
		if !slices.Equal(got, f.want) {
			t.Errorf("%+v: got %v, want %v", f.JobFilter, got, f.want)
		}
	}
	all := c.List(ctx, client.JobFilter{PageSize: 2})
	for range 2 { // from its beginning, each time
		for job, err := range all {
			if err != nil || job.ID != want[0] {
				t.Errorf("the first: %v, %v", job.ID, err)
			}
			break
		}
	}
	for _, err := range c.List(ctx, client.JobFilter{Status: "asleep"}) {
		if codeOf(err) != client.CodeInvalidField {
			t.Errorf("a status that is none: %v", err)
		}
	}
}
