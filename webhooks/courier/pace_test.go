package courier

import (
	"testing"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// A rate limit without effect is what convoy #1927 tells of.
func TestARateLimitHoldsInAnyMinute(t *testing.T) {
	t.Parallel()
	for _, perMinute := range []int{1, 7, 60, 1000, 60_000, 1_000_000} {
		now := time.Unix(0, 0)
		p := newPacer(perMinute, time.Time{}, now)
		var began []time.Time
		// Someone who tries all the time, then not for a while, then all the time.
		for _, pause := range []time.Duration{0, 3 * time.Second, 90 * time.Second} {
			now = now.Add(pause)
			for range min(3*perMinute, 20_000) {
				if at := p.at(); at.After(now) {
					now = at
				}
				p.began(now)
				began = append(began, now)
			}
		}
		oldest := 0
		for i, at := range began {
			for at.Sub(began[oldest]) >= time.Minute {
				oldest++
			}
			if n := i - oldest + 1; n > perMinute {
				t.Fatalf("%d a minute: %d began in the minute before %v", perMinute, n, at)
			}
		}
		if took, want := began[min(len(began), perMinute)-1].Sub(began[0]), time.Minute; perMinute >= 60 && perMinute <= 1000 && took < want*9/10 {
			t.Errorf("%d a minute: the first minute's took %v, want them spread over it", perMinute, took)
		}
	}
}

func TestAWaitThatEndsLateIsMadeUpFor(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	p, n := newPacer(60_000, time.Time{}, now), 0
	for end := now.Add(10 * time.Second); now.Before(end); now = now.Add(3 * time.Millisecond) {
		for ; !p.at().After(now); n++ {
			p.began(now)
		}
	}
	if n < 9_900 {
		t.Errorf("with a timer that comes each 3ms %d began in 10s, want nearly 10,000", n)
	}
}

func TestAPaceIsHandedOnButNoClockThatWentBack(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		until time.Time
		want  time.Duration
	}{
		"never":          {time.Time{}, 0},
		"past":           {now.Add(-time.Second), 0},
		"soon":           {now.Add(20 * time.Second), 20 * time.Second},
		"clock set back": {now.Add(time.Hour), 30*time.Second + paceSlack/2},
	} {
		p := newPacer(2, c.until, now)
		if got := max(0, p.at().Sub(now)); got != c.want {
			t.Errorf("%s: waits %v, want %v", name, got, c.want)
		}
	}
	if p := newPacer(0, now.Add(time.Hour), now); !p.at().IsZero() {
		t.Error("an endpoint without a limit waits")
	}
}

func TestTrafficComesBackInSteps(t *testing.T) {
	t.Parallel()
	began := time.Unix(1000, 0)
	s := delivery.State{RampSince: began}
	for after, want := range map[time.Duration]time.Duration{
		-time.Second: time.Second, 0: time.Second, 4999 * time.Millisecond: time.Second, 5 * time.Second: 500 * time.Millisecond,
		12 * time.Second: 250 * time.Millisecond, 59 * time.Second: time.Second >> 11, time.Minute: 0, -time.Hour: 0,
	} {
		if got := rampEvery(s, began.Add(after)); got != want {
			t.Errorf("after %v attempts are %v apart, want %v", after, got, want)
		}
	}
	if got := rampEvery(delivery.State{}, began); got != 0 {
		t.Errorf("with nothing to come back from attempts are %v apart", got)
	}
}
