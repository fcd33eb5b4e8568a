package jobs

import (
	"time"

	"github.com/google/uuid"
)

// OnUnavailable is what a job wants when no target of its route can be called:
// their breakers are open, their providers asked to wait, or an operator holds
// them, and that for longer than the route has patience. A limit of our own that is
// used up, or a full lane, is not that. The zero value waits.
type OnUnavailable int8

// What a job may want.
const (
	// OnUnavailableWait: wait, until the deadline if need be.
	OnUnavailableWait OnUnavailable = iota
	// OnUnavailableFail: end failed, code [CodeUnavailable]. No call is made for it.
	OnUnavailableFail
	// OnUnavailableDegrade: take the newest stored answer of an equal request,
	// however old; if there is none one of the route's lesser targets, as long as
	// all jobs of the execution would; else wait.
	OnUnavailableDegrade
)

// String returns the word the API uses.
func (o OnUnavailable) String() string {
	switch o {
	case OnUnavailableFail:
		return "fail"
	case OnUnavailableDegrade:
		return "degrade"
	default:
		return "wait"
	}
}

// ParseOnUnavailable is the reverse of [OnUnavailable.String].
func ParseOnUnavailable(s string) (OnUnavailable, bool) {
	for _, o := range []OnUnavailable{OnUnavailableWait, OnUnavailableFail, OnUnavailableDegrade} {
		if o.String() == s {
			return o, true
		}
	}
	return OnUnavailableWait, false
}

// Unserved is a route of which no target can be called at a time.
type Unserved struct {
	Route string
	At    time.Time
	// Why is what jobs end with that would rather fail than wait.
	Why JobError
	// Limit bounds how many jobs are looked at; at least 1.
	Limit int
}

// GivenUp is what became of the jobs of a route that is unserved.
type GivenUp struct {
	// Ended lists the jobs that ended: failed, or with a stored answer.
	Ended []uuid.UUID
	// More says that there may be others to look at.
	More bool
}
