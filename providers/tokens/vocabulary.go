package tokens

import (
	"fmt"
	"hash/maphash"
	"math"
	"sync"

	"github.com/tiktoken-go/tokenizer/codec"
)

// vocabulary is o200k_base: what byte sequences are a token, and which of two
// comes first when bytes are put together. It keeps fingerprints instead of the
// sequences, which is a third of the memory and half of the time. It is safe
// for use by many goroutines.
type vocabulary struct {
	seed  maphash.Seed
	slots []slot
}

// slot holds a token if rank is not 0.
type slot struct {
	mark uint32
	// rank is one more than the token's.
	rank uint32
}

const (
	// vocabularySize is how many tokens there are, but for those that no text has.
	vocabularySize = 199_998
	// slotBits makes three quarters of the slots used.
	slotBits = 18
	noRank   = math.MaxUint32
)

// o200k returns the vocabulary. The first call takes some 100 ms.
var o200k = sync.OnceValue(func() *vocabulary {
	v := &vocabulary{seed: maphash.MakeSeed(), slots: make([]slot, 1<<slotBits)}
	all := codec.NewO200kBase()
	for rank := range uint32(vocabularySize) {
		token, err := all.Decode([]uint{uint(rank)})
		if err != nil {
			panic(fmt.Sprintf("tokens: the vocabulary lacks token %d", rank)) // it is compiled in
		}
		v.add([]byte(token), rank)
	}
	return v
})

func (v *vocabulary) add(token []byte, rank uint32) {
	at, mark := v.hash(token)
	for v.slots[at].rank != 0 {
		at = (at + 1) % (1 << slotBits)
	}
	v.slots[at] = slot{mark, rank + 1}
}

func (v *vocabulary) hash(token []byte) (at, mark uint32) {
	sum := maphash.Bytes(v.seed, token)
	return uint32(sum & (1<<slotBits - 1)), uint32(sum >> 32)
}

// rank returns the rank of a token, or noRank if it is none. In 2³² sequences
// that are none it takes about one for a token.
func (v *vocabulary) rank(token []byte) uint32 {
	at, mark := v.hash(token)
	for v.slots[at].rank != 0 {
		if v.slots[at].mark == mark {
			return v.slots[at].rank - 1
		}
		at = (at + 1) % (1 << slotBits)
	}
	return noRank
}

// count returns how many tokens s has.
func (v *vocabulary) count(s []byte) (n int) {
	for len(s) > 0 {
		size := split(s)
		n += v.piece(s[:size])
		s = s[size:]
	}
	return n
}

// maxPiece bounds what is merged at once, for the time that takes grows with
// its square. A longer piece has at most one token more for each.
const maxPiece = 64

// piece returns how many tokens one piece of a text has.
func (v *vocabulary) piece(s []byte) (n int) {
	for len(s) > maxPiece {
		n += v.piece(s[:maxPiece])
		s = s[maxPiece:]
	}
	if len(s) == 1 || v.rank(s) != noRank {
		return n + 1
	}
	return n + v.merge(s)
}

// merge puts s together from its bytes: again and again the two neighbours that
// are the first token of the vocabulary.
func (v *vocabulary) merge(s []byte) int {
	// Part i begins at starts[i]; together with the next it has ranks[i].
	var starts [maxPiece + 1]int
	var ranks [maxPiece + 1]uint32
	parts := len(s)
	pair := func(i int) uint32 {
		if i+1 >= parts {
			return noRank
		}
		return v.rank(s[starts[i]:starts[i+2]])
	}
	for i := range starts[:len(s)+1] {
		starts[i] = i
	}
	for i := range parts {
		ranks[i] = pair(i)
	}
	for {
		best := 0
		for i, rank := range ranks[:parts] {
			if rank < ranks[best] {
				best = i
			}
		}
		if ranks[best] == noRank {
			return parts
		}
		copy(starts[best+1:parts], starts[best+2:parts+1])
		copy(ranks[best+1:parts-1], ranks[best+2:parts])
		parts--
		ranks[best] = pair(best)
		if best > 0 {
			ranks[best-1] = pair(best - 1)
		}
	}
}
