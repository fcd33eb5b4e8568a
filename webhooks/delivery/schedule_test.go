package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func TestEachLineOfTheSchedule(t *testing.T) {
	t.Parallel()
	want := strings.Fields("0s 5s 30s 2m0s 10m0s 30m0s 2h0m0s 5h0m0s 10h0m0s 14h0m0s 20h0m0s 24h0m0s")
	for n, w := range want {
		d, err := time.ParseDuration(w)
		if err != nil {
			t.Fatal(err)
		}
		least, most := 48*time.Hour, time.Duration(0)
		for range 2000 {
			got, ok := delivery.DefaultSchedule.Next(n)
			if !ok || got < d || got > d+d/5 {
				t.Fatalf("after attempt %d: got %v, %t, want %v and up to a fifth more", n, got, ok, d)
			}
			least, most = min(least, got), max(most, got)
		}
		if most-least < d/6 {
			t.Errorf("after attempt %d: between %v and %v, want it spread over a fifth of %v", n, least, most, d)
		}
	}
	for _, n := range []int{-1, len(want), len(want) + 1} {
		if d, ok := delivery.DefaultSchedule.Next(n); ok {
			t.Errorf("after attempt %d: got %v, want no more", n, d)
		}
	}
}

func TestSchedulesAreChecked(t *testing.T) {
	t.Parallel()
	if err := delivery.DefaultSchedule.Check(); err != nil {
		t.Error(err)
	}
	day := 24 * time.Hour
	for want, s := range map[string]delivery.Schedule{
		"no attempt":       {},
		"31 attempts":      make(delivery.Schedule, 31),
		"before attempt 2": {0, day + 1},
		"before attempt 1": {-1},
		"at most 336h":     {day, day, day, day, day, day, day, day, day, day, day, day, day, day, 1},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q in it", s, err, want)
		}
	}
	if err := (delivery.Schedule{1 << 62, 1 << 62, 1 << 62}).Check(); err == nil {
		t.Error("a schedule of centuries was taken")
	}
}
