package control_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// Of all processes one sweeps, each minute, whether the last sweep failed or not.
func TestFilesAreSweptByOne(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]error{"it works": nil, "it fails": errAway} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDouble()
				d.sweep = func() error { return fails }
				stop := d.run(t)
				d.run(t)
				after(time.Hour + time.Second)
				if n := d.count("sweep"); n < 50 || n > 61 {
					t.Errorf("swept %d times in an hour, want every minute", n)
				}
				stop()
				before := d.count("sweep")
				after(2 * time.Minute)
				if d.count("sweep") == before {
					t.Error("nobody sweeps when one has stopped")
				}
			})
		})
	}
}

// A sweep that takes long holds up nothing else.
func TestUpkeepDoesNotWaitForSweeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble()
		d.sweep = func() error { time.Sleep(5 * time.Minute); return nil }
		d.run(t)
		after(time.Minute)
		if n := d.count("settle"); n < 10 {
			t.Errorf("settled %d times in a minute of sweeping, want as ever", n)
		}
	})
}
