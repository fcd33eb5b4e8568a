package courier

import (
	"slices"
	"testing"
)

func waits(tenant string, got *[]string, slots *[]*slot) *waiter {
	return &waiter{tenant: tenant, granted: func(l *slot) {
		*got, *slots = append(*got, tenant), append(*slots, l)
	}}
}

func TestATenantHasAtMostHalfOfAQueue(t *testing.T) {
	t.Parallel()
	s := newSlots(Queues{Live: 4, Slow: 1, Bulk: 2})
	var got []string
	var granted []*slot
	var held []*slot
	for range 4 {
		if l := s.take(Live, waits("a", &got, &granted)); l != nil {
			held = append(held, l)
		}
	}
	if len(held) != 2 {
		t.Fatalf("one tenant got %d of 4 slots, want 2", len(held))
	}
	if s.take(Live, waits("b", &got, &granted)) == nil || s.take(Live, waits("c", &got, &granted)) == nil {
		t.Error("others got none though two are free")
	}
	if s.take(Slow, waits("a", &got, &granted)) == nil {
		t.Error("a queue of one slot has none for anybody")
	}
}

func TestWhoWaitedLongestGetsTheNextSlotItMayHave(t *testing.T) {
	t.Parallel()
	s := newSlots(Queues{Live: 4, Slow: 2, Bulk: 2})
	var got []string
	var granted []*slot
	take := func(tenant string) *slot { return s.take(Live, waits(tenant, &got, &granted)) }
	a, b, c := []*slot{take("a"), take("a")}, take("b"), take("c")
	for _, tenant := range []string{"a", "c", "a", "b", "d"} {
		if take(tenant) != nil {
			t.Fatalf("%s got a fifth slot of 4", tenant)
		}
	}
	b.give() // a has its half, and c its share
	c.give()
	a[0].give()
	if want := []string{"b", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("granted to %v, want %v", got, want)
	}
	left := waits("e", &got, &granted)
	if s.take(Live, left) != nil {
		t.Fatal("got a slot before those who wait")
	}
	s.leave(Live, left)
	for _, l := range slices.Concat(a[1:], granted) {
		l.give()
	}
	for len(granted) > 3 {
		l := granted[3]
		granted = slices.Delete(granted, 3, 4)
		l.give()
	}
	if want := []string{"b", "c", "d", "a", "a"}; !slices.Equal(got, want) {
		t.Errorf("granted to %v, want %v", got, want)
	}
	if q := s.queues[Live]; q.taken != 0 || len(q.tenants) != 0 || len(q.waiting) != 0 {
		t.Errorf("left over: %+v", q)
	}
}

func TestAnAttemptThatTakesLongLeavesTheLiveQueue(t *testing.T) {
	t.Parallel()
	s := newSlots(Queues{Live: 2, Slow: 2, Bulk: 1})
	var got []string
	var granted []*slot
	first, second := s.take(Live, waits("a", &got, &granted)), s.take(Live, waits("b", &got, &granted))
	if s.take(Live, waits("c", &got, &granted)) != nil {
		t.Fatal("got a third slot of 2")
	}
	first.slow()
	if !slices.Equal(got, []string{"c"}) || s.queues[Slow].taken != 1 {
		t.Errorf("granted to %v with %d slow, want the freed slot to pass on", got, s.queues[Slow].taken)
	}
	second.slow()
	granted[0].slow() // the slow queue is full
	if s.queues[Slow].taken != 2 || s.queues[Live].taken != 1 {
		t.Errorf("got %d slow and %d live, want 2 and 1", s.queues[Slow].taken, s.queues[Live].taken)
	}
	for _, l := range []*slot{first, second, granted[0]} {
		l.give()
	}
	if s.queues[Slow].taken != 0 || s.queues[Live].taken != 0 {
		t.Error("a slot that moved was given back to the wrong queue")
	}
}
