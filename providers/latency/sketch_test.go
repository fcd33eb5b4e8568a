package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var inf = math.Inf(1)

func TestQuantilesAreRightToOnePercent(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var s sketch
	var values []float64
	for range 20_000 {
		v := math.Exp(r.NormFloat64())
		values = append(values, v)
		s.add(v, false)
	}
	slices.Sort(values)
	for _, q := range []float64{.5, .95, .99} {
		want := values[int(q*float64(len(values)))-1]
		got, known := s.quantile(q, inf)
		if !known || math.Abs(got/want-1) > accuracy+.001 {
			t.Errorf("q%v: got %v (known %t), want %v", q, got, known, want)
		}
	}
}

// Times until 20 calls ended, + where one was cut: the survival after each as
// worked out by hand.
func TestKaplanMeier(t *testing.T) {
	t.Parallel()
	var s sketch
	for _, v := range []float64{1, 2, 4, 8} {
		s.add(v, false)
	}
	for _, v := range []float64{1.5, 3} {
		s.add(v, true)
	}
	// 1: 5/6; 2: 5/6·3/4 = 5/8; 4: 5/16; 8: 0.
	for _, c := range []struct{ q, want float64 }{{.16, 1}, {.17, 2}, {.37, 2}, {.38, 4}, {.68, 4}, {.69, 8}, {1, 8}} {
		if got, known := s.quantile(c.q, inf); !known || math.Abs(got/c.want-1) > accuracy {
			t.Errorf("q%v: got %v (known %t), want %v", c.q, got, known, c.want)
		}
	}
}

// What was cut is not forgotten: percentiles stay what they would be had nobody
// cut, or say that they are bounds.
func TestCutsDoNotLowerQuantiles(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	var all, cut, dropped sketch
	for range 20_000 {
		v, patience := math.Exp(r.NormFloat64()), r.ExpFloat64()*8
		all.add(v, false)
		cut.add(min(v, patience), v > patience)
		if v <= patience {
			dropped.add(v, false)
		}
	}
	want, _ := all.quantile(.95, inf)
	got, known := cut.quantile(.95, inf)
	naive, _ := dropped.quantile(.95, inf)
	t.Logf("95th percentile %.2f; of cut calls %.2f, if they were left out %.2f", want, got, naive)
	if !known || math.Abs(got/want-1) > .06 {
		t.Errorf("got %v (known %t), want %v", got, known, want)
	}
}

func TestTooManyCutsGiveABound(t *testing.T) {
	t.Parallel()
	var s sketch
	for range 90 {
		s.add(1, false)
	}
	for range 10 {
		s.add(30, true)
	}
	if got, known := s.quantile(.5, inf); !known || math.Abs(got-1) > accuracy {
		t.Errorf("the median: got %v (known %t), want 1", got, known)
	}
	if got, known := s.quantile(.95, inf); known || math.Abs(got/30-1) > accuracy {
		t.Errorf("the 95th: got %v (known %t), want at least 30", got, known)
	}
	if got, known := s.quantile(.95, 30); !known || math.Abs(got-1) > accuracy {
		t.Errorf("without cuts at 30 and beyond: got %v (known %t), want 1", got, known)
	}
	if value, known := new(sketch).quantile(.5, inf); value != 0 || known {
		t.Errorf("of nothing: got %v, %t", value, known)
	}
}

func TestAbsurdValues(t *testing.T) {
	t.Parallel()
	var s sketch
	for _, v := range []float64{-1, 0, 1e300, inf, 1} {
		s.add(v, false)
	}
	if all, _ := s.count(); all != 5 {
		t.Errorf("kept %d of 5", all)
	}
	if got, _ := s.quantile(1, inf); got > largest*(1+2*accuracy) {
		t.Errorf("got %v", got)
	}
}
