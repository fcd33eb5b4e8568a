package jobs

import (
	"math"
	"testing"
	"time"
)

func TestOutlook(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	flow := Flow{Rate: 2, Run: 3 * time.Second, WaitingOn: WaitingOnFairness}
	low := flow
	low.Low = true
	for _, c := range []struct {
		name     string
		p        Prospect
		waiting  WaitingOn
		position int
		// eta is in seconds from now; 0: none.
		eta float64
	}{
		{"nothing is known", Prospect{Own: 4}, WaitingOnCapacity, 5, 0},
		{"alone", Prospect{Own: 4, Flow: flow}, WaitingOnFairness, 5, 5.0/2 + 3},
		{"behind what is above", Prospect{Above: 5, Own: 4, Flow: flow}, WaitingOnFairness, 10, 10.0/2 + 3},
		{"low moves by itself", Prospect{Above: 5, Own: 4, Flow: low}, WaitingOnFairness, 10, 5.0/2 + 3},
		{
			"beside an equal",
			Prospect{Own: 3, Flow: flow, Rivals: []Rival{{Rate: 2, Left: math.MaxInt}}},
			WaitingOnFairness, 4, 8.0/4 + 3,
		},
		{
			"beside one that is soon done",
			Prospect{Own: 99, Flow: flow, Rivals: []Rival{{Rate: 2, Left: 20}}},
			WaitingOnFairness, 100, 120.0/4 + 3,
		},
		{"released", Prospect{Released: true, Run: time.Second, Flow: flow}, WaitingOnCapacity, 1, 1},
		{"released behind others", Prospect{Released: true, Own: 1, Run: time.Second, Flow: flow}, WaitingOnCapacity, 2, 4},
		{"too many", Prospect{Own: MaxAhead, Flow: flow}, WaitingOnFairness, 0, 0},
		{"too many in all", Prospect{Above: 1, Own: MaxAhead - 1, Flow: flow}, WaitingOnFairness, 0, 0},
		{"the last that is told", Prospect{Own: 199, Flow: flow}, WaitingOnFairness, 200, 103},
		{"not before its deadline", Prospect{Own: 9_000, Flow: flow}, WaitingOnFairness, 9_001, 0},
		{
			"waiting for a time",
			Prospect{RunAt: now.Add(time.Minute), Run: time.Second},
			WaitingOnCapacity, 0, 61,
		},
		{
			"waiting for a time in a crowd",
			Prospect{RunAt: now.Add(time.Minute), Run: time.Second, Flow: flow},
			WaitingOnCapacity, 0, 0,
		},
		{"its time has come", Prospect{RunAt: now, Run: time.Second, Flow: flow}, WaitingOnFairness, 1, 3.5},
	} {
		j := Job{Status: StatusQueued, WaitingOn: WaitingOnCapacity, Deadline: now.Add(time.Hour)}
		c.p.tell(&j, now)
		want := time.Time{}
		if c.eta > 0 {
			want = now.Add(time.Duration(c.eta * float64(time.Second)))
		}
		if j.WaitingOn != c.waiting || j.Position != c.position || !j.ETA.Equal(want) {
			t.Errorf("%s: got %s, place %d, %v; want %s, place %d, %v",
				c.name, j.WaitingOn, j.Position, j.ETA, c.waiting, c.position, want)
		}
	}
}
