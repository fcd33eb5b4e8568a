package simulated

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// fate is what becomes of one call.
type fate struct {
	kind  string // of fault; empty: none
	first time.Duration
	where float64 // in the answer a fault strikes, from 0 to 1
}

// fates counts how often each body was sent, so that each repetition has a
// fate of its own whatever else arrives in between.
type fates struct {
	mu   sync.Mutex
	sent map[[sha256.Size]byte]uint64
}

// maxBodies bounds what is counted; then counting starts over.
const maxBodies = 100_000

func newFates() *fates { return &fates{sent: map[[sha256.Size]byte]uint64{}} }

// draws returns the random numbers of the next call with this body.
func (f *fates) draws(seed uint64, body [sha256.Size]byte) *rand.Rand {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.sent) >= maxBodies {
		clear(f.sent)
	}
	n := f.sent[body]
	f.sent[body] = n + 1
	return drawsOf(seed, body, n)
}

func drawsOf(seed uint64, hash [sha256.Size]byte, n uint64) *rand.Rand {
	a, b := binary.BigEndian.Uint64(hash[:8]), binary.BigEndian.Uint64(hash[8:16])
	return rand.New(rand.NewPCG(seed^a, n^b)) //nolint:gosec // it must be repeatable, and keeps no secret
}

// drawFate draws in the same order always, so that setting one fault does not
// change what the others do.
func (f Faults) drawFate(draws *rand.Rand) fate {
	which, normal, where := draws.Float64(), draws.NormFloat64(), draws.Float64()
	drawn := fate{
		first: time.Duration(float64(f.Latency) * math.Exp(f.Sigma*normal)),
		where: where,
	}
	for _, kind := range slices.Sorted(maps.Keys(f.Errors)) {
		which -= f.Errors[kind]
		if which < 0 {
			drawn.kind = kind
			break
		}
	}
	return drawn
}
