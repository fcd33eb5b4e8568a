package jobs

import (
	"fmt"
	"time"
)

// Pace is how soon the processes of a fleet notice what nobody tells them:
// deaths, lost tasks, lost signals, deadlines. A slower one costs the store less
// and a death more. Processes that share a store must have the same, or some
// declare others dead that are well. Zero fields get their defaults.
type Pace struct {
	// Beat is how often a worker says that it lives, the others look whether it
	// does, and leases are renewed; default 1 s.
	Beat time.Duration
	// Stale is the age of a worker's last successful beat from which it takes no
	// task and starts no call; default 4 beats, at least 2.
	Stale time.Duration
	// Dead is how long a worker's beat must stand still before its runs go to
	// others; default 6 beats. It is at least 2 beats more than Stale, so that a
	// worker has stopped starting calls well before others make them.
	Dead time.Duration
	// Lease is how long a lease outlives its holder; default 4 beats, at least 3
	// because it is renewed each second beat at the latest.
	Lease time.Duration
	// Poll is how late a lost signal, a lost task or the time of a retry may be
	// noticed; default 1 s. A deadline is kept to half of it.
	Poll time.Duration
}

// Filled returns the pace with its defaults, or an error that names the field
// at fault.
func (p Pace) Filled() (Pace, error) {
	for _, f := range []struct {
		name  string
		value *time.Duration
		usual func() time.Duration
	}{
		{"Beat", &p.Beat, func() time.Duration { return time.Second }},
		{"Stale", &p.Stale, func() time.Duration { return 4 * p.Beat }},
		{"Dead", &p.Dead, func() time.Duration { return p.Stale + 2*p.Beat }},
		{"Lease", &p.Lease, func() time.Duration { return 4 * p.Beat }},
		{"Poll", &p.Poll, func() time.Duration { return time.Second }},
	} {
		if *f.value < 0 {
			return Pace{}, fmt.Errorf("field %s is %v; it must be positive", f.name, *f.value)
		}
		if *f.value == 0 {
			*f.value = f.usual()
		}
	}
	return p, p.check()
}

func (p Pace) check() error {
	switch {
	case p.Stale < 2*p.Beat:
		return fmt.Errorf("field Stale is %v; it must be at least two beats of %v", p.Stale, p.Beat)
	case p.Dead < p.Stale+2*p.Beat:
		return fmt.Errorf("field Dead is %v; it must be at least two beats of %v more than Stale, which is %v",
			p.Dead, p.Beat, p.Stale)
	case p.Lease < 3*p.Beat:
		return fmt.Errorf("field Lease is %v; it must be at least three beats of %v", p.Lease, p.Beat)
	default:
		return nil
	}
}

// Gap is how long an observer may go without a look, or a look may last, before
// all its clocks start anew: two beats.
func (p Pace) Gap() time.Duration { return 2 * p.Beat }
