package courier

import (
	"testing"
	"time"
)

func TestTimesAreInOrderAndBounded(t *testing.T) {
	t.Parallel()
	var s times
	for i := range 1000 {
		s.add(noon.Add(time.Duration(i*7%1000) * time.Second))
		s.add(noon)
	}
	s.add(time.Time{})
	if len(s) != rememberedTimes || s.first() != noon || s[len(s)-1] != noon.Add((rememberedTimes-1)*time.Second) {
		t.Errorf("got %d from %v to %v, want the earliest", len(s), s.first(), s[len(s)-1])
	}
	if s.pass(noon.Add(-time.Second)) {
		t.Error("one has come before its time")
	}
	if !s.pass(noon) || s.first() != noon.Add(time.Second) {
		t.Errorf("the next is %v, want a second later", s.first())
	}
	if !s.pass(noon.Add(time.Hour)) || !s.first().IsZero() {
		t.Errorf("left over: %v", s)
	}
}
