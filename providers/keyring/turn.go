package keyring

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// Turn is one call's way through the keys. It is for one goroutine.
type Turn struct {
	ring  *Ring
	model string
	key   *key
	began time.Time
	// values are the keys tried, the one to use last.
	values []string
}

// Turn begins a call to model with the best key there is: the first that is
// good; if none is, the one whose time comes first. A provider may take a key
// again before anybody says so, and its word counts.
func (r *Ring) Turn(model string) *Turn {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &Turn{ring: r, model: model}
	now := time.Now()
	r.refresh(now)
	best := t.firstGood(now)
	if best == nil {
		best = slices.MinFunc(r.keys, func(a, b *key) int {
			x, y := a.aside(model), b.aside(model)
			if order := x.until.Compare(y.until); order != 0 {
				return order
			}
			return x.refused.Compare(y.refused)
		})
	}
	t.use(best, now)
	return t
}

// firstGood returns the first key that is good and was not tried in this turn;
// nil if there is none.
func (t *Turn) firstGood(now time.Time) *key {
	for _, k := range t.ring.keys {
		if !k.aside(t.model).until.After(now) && !slices.Contains(t.values, k.value) {
			return k
		}
	}
	return nil
}

func (t *Turn) use(k *key, now time.Time) {
	t.key, t.began = k, now
	t.values = append(t.values, k.value)
}

// Key is the key to call with; empty: none.
func (t *Turn) Key() string { return t.values[len(t.values)-1] }

// Taken notes that the provider took the key.
func (t *Turn) Taken() {
	r := t.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.key.value == t.Key() && t.key.taken(t.model, t.began) {
		r.observer.Restored(t.key.name, t.model)
	}
}

// Refused notes why a call with the key failed. If that was the key's fault, it
// goes on to another good one and returns true. When there is none, the
// failure's message says what became of the keys.
func (t *Turn) Refused(failure *providers.Error) bool {
	if !isKeys(failure.Class) || t.Key() == "" {
		return false
	}
	r := t.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	t.putAside(failure, now)
	next := t.firstGood(now)
	if next == nil || len(t.values) > len(r.keys) { // files can change more than once
		failure.Message += r.plight(t.model)
		return false
	}
	t.use(next, now)
	return true
}

// isKeys says whether a failure is the key's, not the request's or the server's.
func isKeys(class providers.Class) bool {
	return class == providers.Authentication || class == providers.QuotaExhausted || class == providers.Permission
}

// putAside puts the key aside unless its file has another one by now.
func (t *Turn) putAside(failure *providers.Error, now time.Time) {
	r, k := t.ring, t.key
	if k.file != nil {
		r.reread(k)
	}
	if k.value != t.Key() || !k.refused(failure, t.model, now) {
		return
	}
	if failure.Class == providers.Authentication {
		r.observer.SetAside(k.name, failure.Class, "", time.Time{})
		return
	}
	r.observer.SetAside(k.name, failure.Class, t.model, k.asides[t.model].until)
}

// plight says how many keys there are and why they are aside; nothing of a
// single one, of which the failure has said all.
func (r *Ring) plight(model string) string {
	if len(r.keys) < 2 {
		return ""
	}
	count := make(map[providers.Class]int)
	for _, k := range r.keys {
		count[k.aside(model).class]++
	}
	var reasons []string
	for _, reason := range []struct {
		class providers.Class
		words string
	}{
		{providers.Authentication, "not accepted"},
		{providers.QuotaExhausted, "without quota"},
		{providers.Permission, "without permission"},
	} {
		if n := count[reason.class]; n > 0 {
			reasons = append(reasons, fmt.Sprintf("%d %s", n, reason.words))
		}
	}
	return fmt.Sprintf("; none of %d keys is good: %s", len(r.keys), strings.Join(reasons, ", "))
}
