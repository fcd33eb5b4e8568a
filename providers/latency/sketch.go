package latency

import (
	"fmt"
	"math"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

const (
	// accuracy is how far a quantile may be off, as part of it.
	accuracy = 0.01
	// Values are taken for no less and no more than these: 1,300 bins.
	smallest, largest = 1e-6, 1e6
	maxBins           = 2048
)

// bins tells in which bin a value is.
var bins = func() mapping.IndexMapping {
	m, err := mapping.NewLogarithmicMapping(accuracy)
	if err != nil {
		panic(fmt.Sprintf("latency: %v", err)) // the accuracy is a constant
	}
	return m
}()

// sketch is what was observed of one quantity: the values themselves, and lower
// bounds of values that were cut off before they were known. A nil field is
// empty.
type sketch struct{ whole, cut *ddsketch.DDSketch }

func newStore() store.Store { return store.NewCollapsingLowestDenseStore(maxBins) }

// add takes in a value, or the bound of one that was cut.
func (s *sketch) add(value float64, cut bool) {
	into := &s.whole
	if cut {
		into = &s.cut
	}
	if *into == nil {
		*into = ddsketch.NewDDSketch(bins, newStore(), newStore())
	}
	_ = (*into).Add(min(max(value, smallest), largest)) // fails for what is beyond
}

// merge takes in all of other, which stays as it is.
func (s *sketch) merge(other *sketch) {
	s.whole, s.cut = merged(s.whole, other.whole), merged(s.cut, other.cut)
}

func merged(into, from *ddsketch.DDSketch) *ddsketch.DDSketch {
	switch {
	case from == nil:
		return into
	case into == nil:
		return from.Copy()
	}
	_ = into.MergeWith(from) // fails for another mapping; there is one
	return into
}

// count returns how many values were observed, cut or not, and how many of them
// were cut.
func (s *sketch) count() (all, cut int64) {
	if s.cut != nil {
		cut = int64(s.cut.GetCount())
	}
	if s.whole != nil {
		all = int64(s.whole.GetCount())
	}
	return all + cut, cut
}

// quantile returns the value that the part q of all values does not exceed, as
// estimated by Kaplan and Meier: a value that was cut counts, from its bound
// on, like those that went on. If too many were cut to know, it returns the
// greatest value or bound there is and reports false. Bounds of at least
// ignored are left out.
//
// E. L. Kaplan, P. Meier: Nonparametric Estimation from Incomplete Observations.
// JASA 53 (1958).
func (s *sketch) quantile(q, ignored float64) (value float64, known bool) {
	const none = math.MaxInt
	whole, cut := columns(s.whole, largest), columns(s.cut, ignored)
	var left float64
	for _, c := range append(whole, cut...) {
		left += c.count
	}
	survived := 1.0
	for len(whole)+len(cut) > 0 {
		at := none
		if len(whole) > 0 {
			at = whole[0].bin
		}
		if len(cut) > 0 {
			at = min(at, cut[0].bin)
		}
		value = bins.Value(at)
		if len(whole) > 0 && whole[0].bin == at {
			survived *= max(0, 1-whole[0].count/left)
			left -= whole[0].count
			whole = whole[1:]
		}
		if survived <= 1-q+1e-9 {
			return value, true
		}
		if len(cut) > 0 && cut[0].bin == at {
			left -= cut[0].count
			cut = cut[1:]
		}
	}
	return value, false
}

// column is how many values are in a bin.
type column struct {
	bin   int
	count float64
}

// columns lists the bins of d below the value limit that hold any, the lowest
// first.
func columns(d *ddsketch.DDSketch, limit float64) (all []column) {
	if d == nil {
		return nil
	}
	d.GetPositiveValueStore().ForEach(func(bin int, count float64) (stop bool) {
		if count > 0 && bins.Value(bin)*(1+accuracy) < limit {
			all = append(all, column{bin, count})
		}
		return false
	})
	return all
}

// seconds returns d as the number that sketches hold.
func seconds(d time.Duration) float64 { return d.Seconds() }

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
