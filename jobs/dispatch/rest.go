package dispatch

import "time"

// mostRest bounds how long wakes wait for a pass.
const mostRest = 20 * time.Millisecond

// rest returns until when a pass is not followed by another, unless it asks for
// one itself: for as long as it took. Where much finishes, a pass then releases
// what many wakes told of; where little does, nobody waits.
func rest(begun, ended time.Time) time.Time {
	return ended.Add(min(ended.Sub(begun), mostRest))
}
