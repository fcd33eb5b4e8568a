package latency

import "time"

const (
	// Window is how far back a [Summary] reaches.
	Window = 5 * time.Minute
	// slotLength is the time that is kept, shared and forgotten together.
	slotLength = 30 * time.Second
	slots      = int64(Window / slotLength)
	// maxTargets bounds the targets in a slot, of one process.
	maxTargets = 128
)

// slotAt numbers the slots since 1970: workers whose clocks agree agree.
func slotAt(t time.Time) int64 { return t.UnixNano() / int64(slotLength) }

// slot is what was observed in one slot of time.
type slot map[Target]*series

// of returns what is kept of a target; nil if there are too many.
func (s slot) of(t Target) *series {
	kept := s[t]
	if kept == nil && len(s) < maxTargets {
		kept = new(series)
		s[t] = kept
	}
	return kept
}

// window is the slots that are not forgotten yet.
type window map[int64]slot

// at returns the slot with this number.
func (w window) at(number int64) slot {
	if w[number] == nil {
		w[number] = slot{}
	}
	return w[number]
}

// forget drops the slots before those of the window that ends with now.
func (w window) forget(now int64) {
	for number := range w {
		if number <= now-slots {
			delete(w, number)
		}
	}
}
