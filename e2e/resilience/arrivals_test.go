package resilience

import (
	_ "embed"
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// arrival is a job that somebody will ask for.
type arrival struct {
	// at is when, since the beginning.
	at time.Duration
	// input and output count tokens: of the question and of its answer.
	input, output int
	// model is what is asked for; empty: the route over all providers.
	model string
	// weight is for how many jobs this one stands; zero: itself alone.
	weight int
}

//go:embed testdata/azure_llm_trace_2023_conv.csv
var trace string

// sample returns the requests of the thinned trace. See testdata/README.md.
var sample = sync.OnceValue(func() []arrival {
	rows, err := csv.NewReader(strings.NewReader(trace)).ReadAll()
	if err != nil {
		panic(err)
	}
	var all []arrival
	for _, row := range rows[1:] {
		at, err1 := strconv.ParseFloat(row[0], 64)
		input, err2 := strconv.Atoi(row[1])
		output, err3 := strconv.Atoi(row[2])
		if err1 != nil || err2 != nil || err3 != nil {
			panic("the trace has a row that is not three numbers")
		}
		all = append(all, arrival{at: time.Duration(at * float64(time.Second)), input: input, output: output})
	}
	return all
})

// arrivals returns the requests of the trace, one after another as there, over
// and over, in a time stretched so that one comes every so often on average,
// until length is over.
func arrivals(length, every time.Duration) []arrival {
	trace := sample()
	round := trace[len(trace)-1].at + trace[len(trace)-1].at/time.Duration(len(trace)-1)
	factor := float64(every) * float64(len(trace)) / float64(round)
	var all []arrival
	for begun := time.Duration(0); ; begun += round {
		for _, a := range trace {
			a.at = time.Duration(float64(begun+a.at) * factor)
			if a.at >= length {
				return all
			}
			all = append(all, a)
		}
	}
}

// arrivalsFrom returns what arrivals has from a time on, for so long.
func arrivalsFrom(start, length, every time.Duration) []arrival {
	all := arrivals(start+length, every)
	all = slices.DeleteFunc(all, func(a arrival) bool { return a.at < start })
	for i := range all {
		all[i].at -= start
	}
	return all
}

func TestArrivalsAreThoseOfTheTraceStretched(t *testing.T) {
	t.Parallel()
	trace := sample()
	if len(trace) != 1937 {
		t.Fatalf("the trace has %d requests, want 1,937", len(trace))
	}
	const every = time.Minute
	all := arrivals(3*time.Duration(len(trace))*every, every)
	if got, want := len(all), 3*len(trace); got != want {
		t.Errorf("three rounds have %d arrivals, want %d", got, want)
	}
	for i := 1; i < len(all); i++ {
		if all[i].at < all[i-1].at {
			t.Fatalf("arrival %d is at %s, before the one at %s", i, all[i].at, all[i-1].at)
		}
		if again := trace[i%len(trace)]; all[i].input != again.input || all[i].output != again.output {
			t.Fatalf("arrival %d has %d and %d tokens, want %d and %d", i, all[i].input, all[i].output, again.input, again.output)
		}
	}
}
