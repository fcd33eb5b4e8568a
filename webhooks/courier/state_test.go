package courier

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// attempt is one of the delivery with that number, its nth.
func attempt(number byte, n int, a delivery.Attempt) ended {
	e := ended{item: &item{}, Attempt: a, timeout: 15 * time.Second, began: noon}
	e.ID, e.n = uuid.UUID{number}, n
	return e
}

func TestFiveFailuresInARowOpenTheBreaker(t *testing.T) {
	t.Parallel()
	var f fares
	for i := range byte(4) {
		if c := f.after(attempt(i, 1, bad), noon); c.opened {
			t.Fatalf("open after %d failures", i+1)
		}
	}
	c := f.after(attempt(4, 1, dead), noon)
	if !c.opened || !c.urgent || f.Openings != 1 {
		t.Fatalf("got %+v with %+v, want it open after five failures", c, f.State)
	}
	if wait := f.OpenUntil.Sub(noon); wait < 30*time.Second || wait > 36*time.Second {
		t.Errorf("open for %v, want 30s and a fifth more at most", wait)
	}
}

// Poison retry loop (outpost #663), the half of it: one event that cannot be delivered
// opens no breaker, whoever remembers what.
func TestOneEventOpensNoBreaker(t *testing.T) {
	t.Parallel()
	var f fares
	for n := range 30 {
		if c := f.after(attempt(1, n+1, bad), noon); c.opened {
			t.Fatalf("open after %d attempts of one event", n+1)
		}
	}
	// Nobody remembers, but of two attempts of this one and six failures in a row some
	// were of another.
	f = fares{State: delivery.State{Failures: 5}}
	if c := f.after(attempt(2, 2, bad), noon); !c.opened {
		t.Error("closed after six failures in a row, of two events")
	}
	f = fares{State: delivery.State{Failures: 5}}
	if c := f.after(attempt(2, 6, bad), noon); c.opened {
		t.Error("open after six attempts of one event, some by another courier")
	}
}

func TestHalfOfTheLastTwentyOpenTheBreaker(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		every int
		want  bool
	}{"half": {2, true}, "a third": {3, false}} {
		var f fares
		opened := false
		for i := range byte(60) {
			a := good
			if int(i)%c.every == 0 {
				a = bad
			}
			opened = opened || f.after(attempt(i, 1, a), noon).opened
		}
		if opened != c.want {
			t.Errorf("%s failed: opened is %t", name, opened)
		}
	}
	var f fares
	for i := range 60 {
		e := attempt(byte(i), 1, good)
		if i%2 == 0 {
			e = attempt(200, i+1, bad)
		}
		if f.after(e, noon).opened {
			t.Fatal("open because of one event amid good ones")
		}
	}
}

func TestAnOpeningLastsLongerEachTime(t *testing.T) {
	t.Parallel()
	for n, want := range []time.Duration{
		30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute,
	} {
		for range 100 {
			if got := openFor(n); got < want || got >= want+want/5 {
				t.Fatalf("opening %d: %v, want %v and less than a fifth more", n+1, got, want)
			}
		}
	}
	if got := openFor(1000); got > longOpening*6/5 {
		t.Errorf("after a thousand: %v", got)
	}
}

func TestAnOpenBreakerLetsOneProbePass(t *testing.T) {
	t.Parallel()
	f := fares{State: delivery.State{OpenUntil: noon, Openings: 3, Failures: 9, FailingSince: noon.Add(-time.Hour)}}
	if ok, _ := f.admits(noon.Add(-time.Second)); ok {
		t.Error("an attempt was admitted while it is open")
	}
	if ok, probe := f.admits(noon); !ok || !probe {
		t.Fatal("no probe was admitted when its time had come")
	}
	f.probing, f.probed = true, 1
	if ok, _ := f.admits(noon.Add(time.Hour)); ok {
		t.Error("a second probe was admitted")
	}
	probe := attempt(1, 7, dead)
	probe.probe = true
	again := f
	if c := again.after(probe, noon); c.opened || again.Openings != 4 || !again.OpenUntil.After(noon) || again.probing {
		t.Errorf("after a probe that failed: %+v, %+v", c, again.State)
	}
	probe.Attempt = good
	if c := f.after(probe, noon); !c.closed || f.open() || f.Openings != 0 || f.Failures != 0 || f.RampSince != noon || !f.FailingSince.IsZero() {
		t.Errorf("after a probe that was delivered: %+v, %+v", c, f.State)
	}
}

// Poison retry loop (outpost #663), the other half: the oldest event is what cannot be
// delivered. It must not keep the breaker open for all others.
func TestAProbeThatIsAnsweredWithAnErrorHasASecondOpinion(t *testing.T) {
	t.Parallel()
	open := fares{State: delivery.State{OpenUntil: noon, Openings: 2}, probing: true, probed: 1}
	for name, c := range map[string]struct {
		answer delivery.Attempt
		others bool
		probed int
		want   bool
	}{
		"it answers":             {bad, true, 1, true},
		"it does not answer":     {dead, true, 1, false},
		"there is nothing else":  {bad, false, 1, false},
		"that failed, too":       {bad, true, 2, false},
		"that was not delivered": {dead, true, 2, false},
	} {
		f := open
		f.probed = c.probed
		e := attempt(1, 9, c.answer)
		e.probe, e.others = true, c.others
		f.after(e, noon)
		if ok, probe := f.admits(noon); ok != c.want || !probe {
			t.Errorf("%s: another probe is admitted: %t, want %t", name, ok, c.want)
		}
	}
}

// What was under way when the breaker opened says nothing of how things are later.
func TestAttemptsFromBeforeAnOpeningNeitherCloseNorProlongIt(t *testing.T) {
	t.Parallel()
	f := fares{State: delivery.State{OpenUntil: noon.Add(time.Minute), Openings: 1}}
	until := f.OpenUntil
	for i := range byte(10) {
		f.after(attempt(i, 1, bad), noon)
	}
	if c := f.after(attempt(99, 1, good), noon); c.closed || f.OpenUntil != until {
		t.Errorf("got %+v with %+v, want it as open as before", c, f.State)
	}
}

func TestThreeFailuresWhileTrafficComesBackOpenItAgain(t *testing.T) {
	t.Parallel()
	f := fares{State: delivery.State{RampSince: noon}}
	for i := range byte(2) {
		if f.after(attempt(i, 1, bad), noon.Add(time.Second)).opened {
			t.Fatalf("open after %d failures", i+1)
		}
	}
	if !f.after(attempt(3, 1, bad), noon.Add(time.Second)).opened || !f.RampSince.IsZero() {
		t.Error("closed after three failures while traffic comes back")
	}
	f = fares{State: delivery.State{RampSince: noon}}
	for i := range byte(4) {
		if f.after(attempt(i, 1, bad), noon.Add(rampTime)).opened {
			t.Fatalf("open after %d failures when all traffic is back", i+1)
		}
	}
}

func TestAPauseIsNoFailureOfTheEndpoint(t *testing.T) {
	t.Parallel()
	var f fares
	for i := range byte(50) {
		p := delivery.Attempt{Verdict: delivery.Paused, Status: 429, RetryAfter: time.Minute}
		if c := f.after(attempt(i, 1, p), noon); c.opened || !c.urgent || f.PausedUntil != noon.Add(time.Minute) {
			t.Fatalf("got %+v with %+v", c, f.State)
		}
	}
}

func TestAnEndpointIsWarnedTwiceAndThenDisabled(t *testing.T) {
	t.Parallel()
	var f fares
	var warned []time.Duration
	for after := time.Duration(0); ; after += 3 * time.Hour {
		f.OpenUntil = noon // only probes are made
		c := f.after(attempt(byte(after/time.Hour), 1, dead), noon.Add(after))
		if c.warned {
			warned = append(warned, after)
		}
		if c.disabled != "" {
			if after != 5*24*time.Hour || c.disabled != delivery.DisabledFailing {
				t.Errorf("disabled (%s) after %v, want five days", c.disabled, after)
			}
			break
		}
		if after > 6*24*time.Hour {
			t.Fatal("never disabled")
		}
	}
	if len(warned) != 2 || warned[0] != 24*time.Hour || warned[1] != 72*time.Hour {
		t.Errorf("warned after %v, want 24h and 72h", warned)
	}
	f = fares{State: delivery.State{FailingSince: noon, Failures: 18}}
	if c := f.after(attempt(1, 1, dead), noon.Add(30*24*time.Hour)); c.disabled != "" {
		t.Error("disabled after 19 failures")
	}
	if c := f.after(attempt(1, 1, dead), noon.Add(30*24*time.Hour)); c.disabled == "" {
		t.Error("not disabled after 20 failures and a month")
	}
}

func TestAnEndpointThatTakesLongIsSlow(t *testing.T) {
	t.Parallel()
	took := func(d time.Duration) delivery.Attempt {
		a := good
		a.Latency = d
		return a
	}
	var f fares
	f.after(attempt(1, 1, took(900*time.Millisecond)), noon)
	if f.Slow {
		t.Error("slow at 900ms")
	}
	for range 3 {
		f.after(attempt(1, 1, took(2*time.Second)), noon)
	}
	if !f.Slow {
		t.Errorf("not slow at a smoothed %v", f.Latency)
	}
	for f.Latency > slowBelow {
		if !f.Slow {
			t.Fatalf("slow no more at %v", f.Latency)
		}
		f.after(attempt(1, 1, took(100*time.Millisecond)), noon)
	}
	if f.Slow {
		t.Errorf("still slow at %v", f.Latency)
	}
	for range 5 {
		f.after(attempt(1, 1, dead), noon)
	}
	if f.Slow {
		t.Error("slow because nobody answers at once")
	}
	if c := f.after(attempt(1, 1, delivery.Attempt{Verdict: delivery.Failed, Failure: delivery.FailureTimeout}), noon); !f.Slow || !c.urgent {
		t.Error("not slow after a timeout")
	}
}

func TestAStateIsWorthAWriteWhenItTellsSomething(t *testing.T) {
	t.Parallel()
	kept := delivery.State{LastSuccess: noon, Latency: time.Millisecond}
	for name, c := range map[string]struct {
		now  delivery.State
		want bool
	}{
		"nothing":         {kept, false},
		"a success":       {delivery.State{LastSuccess: noon.Add(time.Second), Latency: 2 * time.Millisecond}, false},
		"a minute later":  {delivery.State{LastSuccess: noon.Add(time.Minute)}, true},
		"a failure":       {delivery.State{LastSuccess: noon, Failures: 1}, true},
		"the rate limit":  {delivery.State{LastSuccess: noon, PacedUntil: noon}, true},
		"has become slow": {delivery.State{LastSuccess: noon, Slow: true}, true},
	} {
		if got := worthKeeping(kept, c.now); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}
