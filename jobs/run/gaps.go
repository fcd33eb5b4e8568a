package run

import "time"

// gaps measures the silences between the pieces of an answer, from the first token
// on: what comes before it is a wait for it.
type gaps struct {
	last time.Time
	most time.Duration
}

func (g *gaps) seen(at time.Time, token bool) {
	if g.last.IsZero() && !token {
		return
	}
	if !g.last.IsZero() {
		g.most = max(g.most, at.Sub(g.last))
	}
	g.last = at
}

// longest returns the longest silence; zero when there was no token.
func (g *gaps) longest(end time.Time) time.Duration {
	g.seen(end, false)
	return g.most
}
