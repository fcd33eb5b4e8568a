package lane_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

var everyLimit = limited(lane.Limits{
	RequestsPerMinute: 1e9, InputTokensPerMinute: 1e11, OutputTokensPerMinute: 1e11, Concurrency: 1000,
})

// BenchmarkAdmitSettle is a call's way through a lane on a real Redis, with all its
// limits.
func BenchmarkAdmitSettle(b *testing.B) {
	g := newRig(b, redisOf(b), everyLimit)
	g.settle(g.admit(), good)
	trips := new(trips)
	g.redis.AddHook(trips)
	for b.Loop() {
		g.pass()
	}
	b.ReportMetric(float64(trips.n.Load())/float64(b.N), "trips/op")
}

func (g *rig) pass() {
	v, err := g.lanes.Admit(g.t.Context(), lane.Ask{Lane: here, Call: newCall(g.t), Input: 1000, Output: 300})
	if err != nil || !v.Admitted {
		g.t.Fatalf("Admit() = %+v, %v", v, err)
	}
	_, err = g.lanes.Settle(g.t.Context(), v.Permit, lane.Result{Usage: providers.Usage{Known: true, InputTokens: 990, OutputTokens: 280}})
	if err != nil {
		g.t.Fatal(err)
	}
}

// BenchmarkOwnSide is the same without what Redis and the way to it take.
func BenchmarkOwnSide(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	client.AddHook(answers{})
	g := newRig(b, client, everyLimit)
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		g.pass()
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "p99-µs/op")
}

// answers answers each script at once, as Redis does when all is well.
type answers struct{}

func (answers) DialHook(next redis.DialHook) redis.DialHook { return next }

func (answers) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (answers) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		if c, ok := cmd.(*redis.Cmd); ok {
			if c.Args()[2] == 5 { // keys of admit
				c.SetVal([]any{"admitted", "", "0", "0"})
			} else {
				c.SetVal([]any{int64(1), int64(0), int64(0), int64(0), int64(0)})
			}
		}
		return nil
	}
}

// BenchmarkRoom is what the dispatcher asks before each pass.
func BenchmarkRoom(b *testing.B) {
	g := newRig(b, redisOf(b), everyLimit)
	var lanes []lane.Lane
	for _, pool := range []string{"a", "b", "c", "d", "e"} {
		for _, model := range []string{"1", "2", "3", "4"} {
			lanes = append(lanes, lane.Lane{Pool: pool, Target: pool + "/" + model})
		}
	}
	for b.Loop() {
		if _, err := g.lanes.Room(b.Context(), time.Second, lanes...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(lanes)), "ns/lane")
}
