package storagetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
)

// LaneStore keeps jobs, and of lanes what Redis must not be trusted with.
type LaneStore interface {
	jobs.Store
	lane.Store
}

// RunLanes checks what every [lane.Store] does, each rule in parallel on a fresh
// store: see [Run].
func RunLanes(t *testing.T, open func(t *testing.T) LaneStore) {
	t.Helper()
	for _, r := range []struct {
		name  string
		check func(f *laneFixture)
	}{
		{"nothing is kept at first", nothingKept},
		{"invariant 6: a gate is only ever shut for longer", gateIsMerged},
		{"a gate ends", gateEnds},
		{"limits are replaced and taken away", limitsAreReplaced},
		{"holds are of a pool or a lane", holdsAreApart},
		{"an opening is kept until it is over", openingIsKept},
		{"invariant 8: of many who take a probe one has it", oneProbe},
		{"invariant 8: a probe is kept from others until its time is over", probeEnds},
		{"a probe ends once, and by its own call", probeEndsOnce},
		{"an opening does not undo a probe", openingSparesProbe},
		{"calls under way are those of claimed executions", callsUnderWay},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			r.check(&laneFixture{fixture: newFixture(t, s), lanes: s})
		})
	}
}

type laneFixture struct {
	*fixture

	lanes lane.Store
}

// ours is the lane of what the fixture releases, theirs another of its pool.
var (
	ours   = lane.Lane{Pool: provider, Target: provider + "/" + model}
	theirs = lane.Lane{Pool: provider, Target: provider + "/other"}
)

func (f *laneFixture) lane(l lane.Lane) lane.Kept {
	f.t.Helper()
	k, err := f.lanes.Lane(f.t.Context(), l)
	f.must(err, "read a lane")
	return k
}

// about fails the test unless got is a little less than want.
func (f *laneFixture) about(got, want time.Duration, what string) {
	f.t.Helper()
	if got > want || got < want-time.Minute {
		f.t.Fatalf("%s: got %v, want about %v and not more", what, got, want)
	}
}

// eventually fails the test unless done becomes true soon: the store's clock
// moves on while it is asked.
func (f *laneFixture) eventually(done func() bool, what string) {
	f.t.Helper()
	for range 100_000 {
		if done() {
			return
		}
	}
	f.t.Fatalf("it never came: %s", what)
}

func (f *laneFixture) gate(wait time.Duration) {
	f.t.Helper()
	f.must(f.lanes.KeepGate(f.t.Context(), ours.Pool, wait), "keep a gate")
}

func (f *laneFixture) take(call uuid.UUID, lease time.Duration) bool {
	f.t.Helper()
	taken, err := f.lanes.TakeProbe(f.t.Context(), ours, call, lease)
	f.must(err, "take a probe")
	return taken
}

func (f *laneFixture) end(call uuid.UUID, next lane.Opening) bool {
	f.t.Helper()
	was, err := f.lanes.EndProbe(f.t.Context(), ours, call, next)
	f.must(err, "end a probe")
	return was
}

func (f *laneFixture) opening(number int, d time.Duration) {
	f.t.Helper()
	f.must(f.lanes.KeepOpening(f.t.Context(), ours, lane.Opening{Number: number, For: d}), "keep an opening")
}

func nothingKept(f *laneFixture) {
	k := f.lane(ours)
	if k.Gate != 0 || k.Limits != nil || k.PoolHold != "" || k.Hold != "" || k.Opening != (lane.Opening{}) ||
		k.Prober != uuid.Nil || k.ProbeFor != 0 || len(k.Calls) != 0 {
		f.t.Fatalf("got %+v, want nothing", k)
	}
}

func gateIsMerged(f *laneFixture) {
	f.gate(time.Hour)
	f.gate(time.Minute)
	f.about(f.lane(ours).Gate, time.Hour, "gate after a shorter one")
	f.about(f.lane(theirs).Gate, time.Hour, "gate seen by another lane of the pool")
	f.gate(2 * time.Hour)
	f.about(f.lane(ours).Gate, 2*time.Hour, "gate after a longer one")
	equal(f.fixture, f.lane(lane.Lane{Pool: "other", Target: "other/m"}).Gate, 0, "gate of another pool")
}

func gateEnds(f *laneFixture) {
	f.gate(time.Microsecond)
	f.eventually(func() bool { return f.lane(ours).Gate == 0 }, "the end of a gate of a microsecond")
}

func limitsAreReplaced(f *laneFixture) {
	for _, limits := range []lane.Limits{
		{RequestsPerMinute: 1, InputTokensPerMinute: 2, OutputTokensPerMinute: 3, Concurrency: 4}, {Concurrency: 5}, {},
	} {
		f.must(f.lanes.KeepLimits(f.t.Context(), ours.Pool, &limits), "keep limits")
		got := f.lane(ours).Limits
		if got == nil || *got != limits {
			f.t.Fatalf("limits: got %+v, want %+v", got, limits)
		}
	}
	f.gate(time.Hour)
	f.must(f.lanes.KeepLimits(f.t.Context(), ours.Pool, nil), "take limits away")
	if got := f.lane(ours); got.Limits != nil || got.Gate == 0 {
		f.t.Fatalf("got %+v, want no limits, and the gate as it was", got)
	}
}

func holdsAreApart(f *laneFixture) {
	pool := lane.Lane{Pool: ours.Pool}
	hold := func(l lane.Lane, h lane.Hold) {
		f.t.Helper()
		f.must(f.lanes.KeepHold(f.t.Context(), l, h), "keep a hold")
	}
	expect := func(l lane.Lane, ofPool, own lane.Hold) {
		f.t.Helper()
		k := f.lane(l)
		equal(f.fixture, k.PoolHold, ofPool, "hold of the pool")
		equal(f.fixture, k.Hold, own, "hold of the lane")
	}
	hold(ours, lane.HoldPaused)
	hold(ours, lane.HoldDrained)
	expect(ours, "", lane.HoldDrained)
	expect(theirs, "", "")
	hold(pool, lane.HoldPaused)
	expect(ours, lane.HoldPaused, lane.HoldDrained)
	expect(theirs, lane.HoldPaused, "")
	hold(ours, lane.NoHold)
	hold(ours, lane.NoHold)
	expect(ours, lane.HoldPaused, "")
}

func openingIsKept(f *laneFixture) {
	f.opening(3, time.Hour)
	equal(f.fixture, f.lane(ours).Opening.Number, 3, "number of the opening")
	f.about(f.lane(ours).Opening.For, time.Hour, "length of the opening")
	equal(f.fixture, f.lane(theirs).Opening, lane.Opening{}, "opening of another lane")
	f.opening(4, time.Microsecond)
	f.eventually(func() bool { return f.lane(ours).Opening == lane.Opening{Number: 4} }, "its half-open state")
}

func oneProbe(f *laneFixture) {
	f.opening(1, 0)
	var taken atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if ok, err := f.lanes.TakeProbe(f.t.Context(), ours, uuid.New(), time.Hour); err == nil && ok {
				taken.Add(1)
			}
		})
	}
	all.Wait()
	equal(f.fixture, taken.Load(), 1, "calls that have the probe")
}

func probeEnds(f *laneFixture) {
	a, b := newID(f.t), newID(f.t)
	equal(f.fixture, f.take(a, time.Hour), true, "a takes it, though no opening was kept")
	equal(f.fixture, f.take(b, time.Hour), false, "b takes a's")
	equal(f.fixture, f.take(a, time.Microsecond), true, "a takes it again")
	f.eventually(func() bool { return f.take(b, time.Hour) }, "b's turn after a's time")
	equal(f.fixture, f.take(a, time.Hour), false, "a takes b's")
	equal(f.fixture, f.lane(ours).Prober, b, "prober")
	f.about(f.lane(ours).ProbeFor, time.Hour, "time of the probe")
}

func probeEndsOnce(f *laneFixture) {
	a, b := newID(f.t), newID(f.t)
	f.take(a, time.Hour)
	equal(f.fixture, f.end(b, lane.Opening{}), false, "b ends a's")
	equal(f.fixture, f.end(a, lane.Opening{Number: 2, For: time.Hour}), true, "a ends its own")
	equal(f.fixture, f.end(a, lane.Opening{}), false, "a ends it again")
	k := f.lane(ours)
	equal(f.fixture, k.Opening.Number, 2, "number after a probe that failed")
	f.about(k.Opening.For, time.Hour, "length after a probe that failed")
	equal(f.fixture, k.Prober, uuid.Nil, "prober after its end")
	equal(f.fixture, f.take(b, time.Hour), true, "b takes it")
	equal(f.fixture, f.end(b, lane.Opening{}), true, "b ends it well")
	equal(f.fixture, f.lane(ours).Opening, lane.Opening{}, "opening of a closed breaker")
}

func openingSparesProbe(f *laneFixture) {
	a := newID(f.t)
	f.take(a, time.Hour)
	f.opening(7, time.Hour)
	equal(f.fixture, f.lane(ours).Prober, a, "prober after an opening that came late")
	equal(f.fixture, f.end(a, lane.Opening{}), true, "it ends its probe")
}

func callsUnderWay(f *laneFixture) {
	f.submit("released")
	f.releaseAll(f.now)
	equal(f.fixture, len(f.lane(ours).Calls), 0, "calls of what nobody has claimed")
	job, work, w := f.running("running")
	further := f.another(work)
	f.must(f.store.OpenCall(f.t.Context(), w.ID, further), "open a call")
	equal(f.fixture, len(f.lane(ours).Calls), 1, "calls under way")
	equal(f.fixture, f.lane(ours).Calls[0], lane.OpenCall{Call: work.Call, Target: ours.Target}, "the call")
	elsewhere := f.lane(lane.Lane{Pool: "other:group", Target: "other/m"}).Calls
	equal(f.fixture, len(elsewhere), 1, "calls under way at another provider")
	equal(f.fixture, elsewhere[0], lane.OpenCall{Call: further.ID, Target: "other/other-1"}, "the call there")
	f.finish(f.success(work, f.at(time.Minute)))
	f.ended(job.ID, jobs.StatusSucceeded)
	equal(f.fixture, len(f.lane(ours).Calls), 0, "calls under way after the end")
}
