//go:build unix

package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage"
	"github.com/penstock-dev/penstock/storage/sealed"
)

// BenchmarkSealed: what sealing payloads costs. Jobs of 100 tenants with requests
// of 1.5 KB and answers of 1 KB go through a store in Postgres, from submission
// to the reading of the answer, in plain and sealed, in turns. It reports the
// medians: jobs a second of 64 callers, and processors' time of this process for
// each job, in which sealing is done.
func BenchmarkSealed(b *testing.B) {
	const rounds, perRound = 7, 2000
	plain, under := openSealed(b, ""), openSealed(b, base64.StdEncoding.EncodeToString(random(32)))
	var rates, costs [2][]float64
	for b.Loop() {
		for i := range 2 * rounds {
			which := i % 2
			rate, cost := throughput(b, []*sealed.Store{plain, under}[which], perRound)
			rates[which], costs[which] = append(rates[which], rate), append(costs[which], cost)
		}
	}
	b.ReportMetric(median(rates[0]), "plain-jobs/s")
	b.ReportMetric(median(rates[1]), "sealed-jobs/s")
	b.ReportMetric(median(rates[1])/median(rates[0]), "sealed/plain-jobs/s")
	b.ReportMetric(median(costs[0]), "plain-cpu-µs/job")
	b.ReportMetric(median(costs[1]), "sealed-cpu-µs/job")
	b.ReportMetric(median(costs[1])/median(costs[0]), "sealed/plain-cpu")
}

func openSealed(b *testing.B, secret string) *sealed.Store {
	b.Helper()
	below, err := storage.Open(b.Context(), testenv.Postgres(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { below.Close() })
	secrets, err := sealed.ParseSecrets(secret)
	if err != nil {
		b.Fatal(err)
	}
	s, err := sealed.New(b.Context(), below, sealed.Config{Secrets: secrets})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// throughput runs n jobs and returns jobs a second and processors' time in µs for
// each.
func throughput(b *testing.B, s *sealed.Store, n int) (rate, cost float64) {
	b.Helper()
	worker := jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "w"}
	if _, err := s.Beat(b.Context(), worker, nil); err != nil {
		b.Fatal(err)
	}
	next := make(chan int)
	var callers sync.WaitGroup
	used, begin := processorTime(b), time.Now()
	for range 64 {
		callers.Go(func() {
			for i := range next {
				if err := throughStore(b.Context(), s, worker.ID, i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	callers.Wait()
	took := time.Since(begin)
	return float64(n) / took.Seconds(), float64((processorTime(b) - used).Microseconds()) / float64(n)
}

var (
	sealedRequest = text(1500)
	sealedAnswer  = text(1000)
)

// text returns JSON of n bytes.
func text(n int) json.RawMessage {
	return json.RawMessage(`{"text":"` + string(bytes.Repeat([]byte("lorem ipsum "), n/12)) + `"}`)
}

// throughStore takes one job from its submission to the reading of its answer.
func throughStore(ctx context.Context, s *sealed.Store, worker uuid.UUID, i int) error {
	at := time.Now().UTC().Truncate(time.Microsecond)
	sub := jobs.Submission{
		Job: jobs.Job{
			ID: uuid.Must(uuid.NewV7()), Tenant: "tenant-" + hex.EncodeToString([]byte{byte(i % 100)}),
			Endpoint: providers.ChatCompletions, Model: "default", Deadline: at.Add(time.Hour), CreatedAt: at,
			RequestHash: hex.EncodeToString(random(32)),
		},
		Request:   jobs.Request{Endpoint: providers.ChatCompletions, Route: "default", Body: sealedRequest, Cost: 100},
		Execution: uuid.Must(uuid.NewV7()), Dedupe: true,
	}
	if _, err := s.Submit(ctx, sub); err != nil {
		return err
	}
	tasks, err := s.Release(ctx, []jobs.Release{{Execution: sub.Execution, Provider: "sim", Model: "m"}}, at)
	if err != nil {
		return err
	}
	call := uuid.Must(uuid.NewV7())
	w, err := s.Claim(ctx, jobs.Claim{Task: tasks[0], Worker: worker, Call: call, At: at})
	if err != nil {
		return err
	}
	_, err = s.Finish(ctx, jobs.Outcome{
		Task: tasks[0], Status: jobs.StatusSucceeded, Result: sealedAnswer, At: at,
		Call: jobs.Call{
			ID: call, Execution: sub.Execution, Fence: tasks[0].Fence, Tenant: w.Tenant, RequestHash: w.RequestHash,
			Provider: "sim", Model: "m", Status: jobs.CallSuccess, CreatedAt: at,
		},
	})
	if err != nil {
		return err
	}
	_, err = s.Job(ctx, sub.Job.Tenant, sub.Job.ID)
	return err
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // does not fail: see crypto/rand
	return b
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
