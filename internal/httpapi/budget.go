package httpapi

import (
	"io"
	"sync/atomic"
)

// errTooManyBodies is answered when all bodies together are as large as may be.
var errTooManyBodies = busy("as many bytes of requests are being read here as may be; try again")

// budget bounds the bytes of all bodies that are being read or looked at.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// share is what one body has of the budget.
type share struct {
	of   *budget
	size int64
}

func (s *share) giveBack() {
	s.of.used.Add(-s.size)
	s.size = 0
}

// reader returns r such that what is read from it counts as it arrives: a body
// that was announced and does not come takes nothing from others.
func (s *share) reader(r io.Reader) io.Reader { return &counted{r, s} }

type counted struct {
	io.Reader

	share *share
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if !c.share.of.take(int64(n)) {
		return 0, errTooManyBodies
	}
	c.share.size += int64(n)
	return n, err
}
