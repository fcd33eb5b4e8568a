package courier

import (
	"testing"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func TestALeaseLastsForTheTimeoutAndItsMargin(t *testing.T) {
	t.Parallel()
	now := time.Now()
	h := newHeld(delivery.Leased{Watched: delivery.Watched{Endpoint: delivery.Endpoint{Timeout: 20 * time.Second}}}, now)
	for after, want := range map[time.Duration]bool{
		0: true, delivery.LeaseMargin: true, delivery.LeaseMargin + time.Nanosecond: false, -time.Hour: true,
	} {
		if got := h.lastsFor(20*time.Second, now.Add(after)); got != want {
			t.Errorf("after %v it lasts for an attempt: %t, want %t", after, got, want)
		}
	}
	// The machine slept, or its clock was set: whichever says that more time has passed.
	wall := now.Round(0)
	if h.lastsFor(20*time.Second, wall.Add(time.Minute)) {
		t.Error("a lease outlasts a minute that the monotonic clock knows nothing of")
	}
}

func TestNoLeaseGetsShorterWithItsTimeout(t *testing.T) {
	t.Parallel()
	now := time.Now()
	of := func(timeout time.Duration, asked time.Time) *held {
		return newHeld(delivery.Leased{Watched: delivery.Watched{Endpoint: delivery.Endpoint{Timeout: timeout}}}, asked)
	}
	long := of(time.Minute, now)
	short := of(time.Second, now.Add(5*time.Second)).after(long)
	if !short.lastsFor(0, now.Add(75*time.Second)) || short.seen != now.Add(5*time.Second) {
		t.Errorf("got %+v, want it to last as long as the one before", short)
	}
	if later := of(time.Second, now.Add(70*time.Second)).after(short); !later.lastsFor(0, now.Add(86*time.Second)) {
		t.Errorf("got %+v, want it to last on", later)
	}
}

func TestASecretThatHasExpiredSignsNoMore(t *testing.T) {
	t.Parallel()
	now := time.Now()
	h := newHeld(delivery.Leased{Secrets: []delivery.Secret{
		{Key: secret}, {Key: secret, ExpiresAt: now.Add(time.Hour)}, {Key: secret, ExpiresAt: now}, {Key: "whsec_"},
	}}, now)
	if len(h.keys) != 2 {
		t.Errorf("%d keys sign, want the current one and the one that has not expired", len(h.keys))
	}
}
