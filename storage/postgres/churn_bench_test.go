package postgres

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// BenchmarkChurn takes many jobs from submission to their end, every fifth of
// them by way of a wait, past a backlog that stands still, and says what that
// does to the hot tables: how large they get, and how fast the last tenth is
// beside the first. CHURN sets how many, 100,000 by default.
func BenchmarkChurn(b *testing.B) {
	const round, standing = 2000, 20_000
	total := 100_000
	if n, err := strconv.Atoi(os.Getenv("CHURN")); err == nil {
		total = n
	}
	s := openStore(b, Config{})
	ctx := context.Background()
	w := jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "bench"}
	if _, err := s.Beat(ctx, w, nil); err != nil {
		b.Fatal(err)
	}
	request, result := body(1500), body(1000)
	concurrently(b, standing, func(int) error {
		sub := benchSubmission(request)
		sub.Request.Route = "standing"
		_, err := s.Submit(ctx, sub)
		return err
	})
	for b.Loop() {
		var rates []float64
		var largest int64
		start := time.Now()
		for done := round; done <= total; done += round {
			churn(ctx, b, s, w, round, request, result)
			if done%(total/10/round*round) != 0 {
				continue
			}
			rates = append(rates, float64(total/10)/time.Since(start).Seconds())
			hot, line := sizes(b, s)
			largest = max(largest, hot)
			b.Logf("%8d jobs: %5.0f/s, %s", done, rates[len(rates)-1], line)
			start = time.Now()
		}
		b.ReportMetric(rates[len(rates)-1]/rates[0], "last/first")
		b.ReportMetric(float64(largest)/(1<<20), "hot-MiB")
	}
	b.ReportMetric(0, "ns/op")
}

// churn takes n jobs from submission to their end.
func churn(ctx context.Context, b *testing.B, s *Store, w jobs.Worker, n int, request, result []byte) {
	b.Helper()
	concurrently(b, n, func(int) error {
		_, err := s.Submit(ctx, benchSubmission(request))
		return err
	})
	for left := n; left > 0; {
		if _, _, err := s.Unpark(ctx, time.Now(), n); err != nil {
			b.Fatal(err)
		}
		tasks := releaseReady(ctx, b, s)
		ended := make([]bool, len(tasks))
		concurrently(b, len(tasks), func(i int) error {
			work, err := s.Claim(ctx, jobs.Claim{Task: tasks[i], Worker: w.ID, Call: uuid.Must(uuid.NewV7()), At: time.Now()})
			if err != nil {
				return err
			}
			o := benchOutcome(work, result)
			if work.Task.Fence == 1 && i%5 == 0 {
				o.Call.Status = jobs.CallFailure
				return s.Reschedule(ctx, jobs.Rescheduling{
					Task: o.Task, Call: o.Call, RunAt: time.Now().Add(time.Second), WaitingOn: jobs.WaitingOnRetry, Tries: 1,
				})
			}
			ended[i] = true
			_, err = s.Finish(ctx, o)
			return err
		})
		for _, is := range ended {
			if is {
				left--
			}
		}
	}
}

// sizes returns how large the hot tables are together, with their indexes, and
// tells of each.
func sizes(b *testing.B, s *Store) (hot int64, line string) {
	b.Helper()
	const query = `
		SELECT sum(pg_total_relation_size(relid))::bigint,
			string_agg(format('%s %s (%s dead, %s vacuums)', relname, pg_size_pretty(pg_total_relation_size(relid)),
				n_dead_tup, autovacuum_count), ', ' ORDER BY relname)
		FROM pg_stat_user_tables WHERE relname IN ('queue', 'releases', 'live_jobs')`
	if err := s.pool.QueryRow(context.Background(), query).Scan(&hot, &line); err != nil {
		b.Fatal(err)
	}
	return hot, line
}
