package jobs

import "time"

// MaxAhead is how many executions are counted that go before a job. A job with
// more before it is told neither position nor time.
const MaxAhead = 10_000

// Flow is how a tenant's backlog in a [Line] moves, as the dispatcher sees it.
type Flow struct {
	// Tenant is empty for the line itself, of which only Run is known, and
	// WaitingOn when nothing of it goes through.
	Tenant  string
	Route   string
	UseCase string
	// Low says that it is of low priority, which has a share of its own. High and
	// normal move as one: normal waits for high.
	Low bool
	// Pool is the provider whose places it waits for.
	Pool string
	// Rate is how many executions are released a second while there are more
	// than fit; zero: not known.
	Rate float64
	// Run is how long a release takes until it is over, on average; zero: not
	// known.
	Run time.Duration
	// WaitingOn is what the backlog waits on: [WaitingOnCapacity], or
	// [WaitingOnFairness] when other tenants have a backlog as well and this one
	// gets its share.
	WaitingOn WaitingOn
}

// Rival is another backlog that waits for the same pool: how many of it are
// released a second, and how many it has left: [math.MaxInt] for very many.
type Rival struct {
	Rate float64
	Left int
}

// Prospect is what a store knows of what a queued job has before it.
type Prospect struct {
	Priority Priority
	// RunAt is until when it waits, at least; zero when it waits for its turn.
	RunAt time.Time
	// Released says that it waits for a worker alone.
	Released bool
	// Above and Own count the executions of the same tenant and route that go
	// before it and have not started: those of a higher priority, and those of
	// its own. Of one that waits for a time neither is known. Each is counted to
	// [MaxAhead].
	Above, Own int
	// Flow is that of its backlog; zero when there is none, as far as is known.
	Flow Flow
	// Rivals are the other backlogs of its pool.
	Rivals []Rival
	// Run is the route's.
	Run time.Duration
	// Closed says what keeps all of its route; empty: nothing does.
	Closed WaitingOn
}

// mostCounted is how much stores count each time flows are set.
const mostCounted = 60_000

// CountedOf returns how far a store counts what each of so many backlogs has
// left. [math.MaxInt] stands for that and more.
func CountedOf(backlogs int) int { return min(MaxAhead, mostCounted/max(1, backlogs)) }

// tell fills in what the prospect says of a queued job.
func (p Prospect) tell(j *Job, now time.Time) {
	switch {
	case p.RunAt.After(now):
		j.ETA = p.backAgain()
	case p.Closed != "" && !p.Released:
		j.WaitingOn = p.Closed
	default:
		if p.Flow.WaitingOn != "" && !p.Released {
			j.WaitingOn = p.Flow.WaitingOn
		}
		if ahead := p.Above + p.Own; ahead < MaxAhead {
			j.Position = ahead + 1
			j.ETA = p.eta(now)
		}
	}
	if !j.ETA.Before(j.Deadline) {
		j.ETA = time.Time{} // there will be none
	}
	j.ETA = j.ETA.Round(time.Millisecond)
}

// backAgain returns when one that waits for a time will be over if there is room
// for it then: with a backlog nobody knows where in it that will be.
func (p Prospect) backAgain() time.Time {
	if p.Run == 0 || p.Flow.Rate > 0 {
		return time.Time{}
	}
	return p.RunAt.Add(p.Run)
}

// eta returns when one that waits for its turn will be over: when so much of
// every backlog is released as goes before it, at the rate at which all are.
// Until its own turn the others get as much as they did lately for each of its
// own, but no more than they have left (generalized processor sharing: Parekh and
// Gallager, 1993). Low priority moves by itself, beside what is above it.
func (p Prospect) eta(now time.Time) time.Time {
	if p.Released && p.Run > 0 && p.Own == 0 {
		return now.Add(p.Run)
	}
	if p.Flow.Rate == 0 || p.Flow.Run == 0 {
		return time.Time{}
	}
	turns := float64(p.Above + p.Own + 1)
	if p.Flow.Low {
		turns = float64(p.Own + 1)
	}
	before, rate := turns, p.Flow.Rate
	for _, other := range p.Rivals {
		before += min(turns*other.Rate/p.Flow.Rate, float64(other.Left))
		rate += other.Rate
	}
	return now.Add(time.Duration(before / rate * float64(time.Second))).Add(p.Flow.Run)
}
