package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// tellPolls is how many polls apart flows are told, and keepTold how many
	// times that may fail before those told last no longer count.
	tellPolls = 2
	keepTold  = 5
)

// tell writes down how backlogs move, if it is time to and there are any or
// were. Where nothing stays for long, that costs nothing.
func (d *Dispatcher) tell(ctx context.Context) error {
	f, now, every := d.flows, time.Now(), tellPolls*d.cfg.Pace.Poll
	if telling := d.waiting || f.any(); telling != f.telling {
		f.told, f.telling = now, telling
	}
	if now.Sub(f.told) < every || !f.telling && !f.written {
		return nil
	}
	f.told, f.written = now, f.telling
	var all []jobs.Flow
	if f.telling {
		all = f.all(now)
	}
	if err := d.cfg.Store.SetFlows(ctx, all, now.Add(keepTold*every).UTC()); err != nil {
		return fmt.Errorf("tell how backlogs move: %w", err)
	}
	return nil
}

// any reports whether anything is outstanding or waits for its turn.
func (f *flows) any() bool {
	for _, p := range f.pools {
		if len(p.held) > 0 {
			return true
		}
	}
	return len(f.backlogs)+len(f.closed) > 0
}

// all returns what is to be told.
func (f *flows) all(now time.Time) []jobs.Flow {
	for _, p := range f.pools {
		p.advance(now)
	}
	told := make([]jobs.Flow, 0, len(f.backlogs)+len(f.live))
	for pool, rivals := range f.rivals() {
		told = append(told, f.allOf(pool, rivals, now)...)
	}
	for line, pool := range f.live {
		if run, why := f.pools[pool].run(), f.closed[line]; run > 0 || why != "" {
			told = append(told, jobs.Flow{Route: line.Route, UseCase: line.UseCase, Run: seconds(run), WaitingOn: why})
		}
	}
	return told
}

// allOf returns what is to be told of the backlogs in one pool. Their rates
// together are what the places give that their tenants hold: that is known at
// once when others leave or come, how they share it only by and by.
func (f *flows) allOf(pool string, rivals map[string]int, now time.Time) []jobs.Flow {
	p := f.pools[pool]
	if p == nil {
		return nil // a pool that is not configured
	}
	var told []jobs.Flow
	sum, held := 0.0, 0
	for key, b := range f.backlogs {
		if b.pool != pool {
			continue
		}
		b.advance(now, p)
		told = append(told, jobs.Flow{
			Tenant: key.tenant, Route: key.line.Route, UseCase: key.line.UseCase, Low: key.low,
			Pool: pool, Run: seconds(p.run()),
			Rate: b.rate(p, key.tenant, rivals[key.tenant] == 1), WaitingOn: waitingOn(p, key.tenant, rivals),
		})
		sum += told[len(told)-1].Rate
	}
	if sum == 0 {
		return told
	}
	for tenant := range rivals {
		held += p.held[tenant]
	}
	for i := range told {
		told[i].Rate *= float64(held) / p.run() / sum
	}
	return told
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// rivals counts the backlogs of each tenant, by pool.
func (f *flows) rivals() map[string]map[string]int {
	all := make(map[string]map[string]int)
	for key, b := range f.backlogs {
		if all[b.pool] == nil {
			all[b.pool] = make(map[string]int)
		}
		all[b.pool][key.tenant]++
	}
	return all
}

// rate returns how many of a backlog are released a second; zero: not known.
// When it is the only one that its tenant has in the pool, what was seen is
// joined, with the weight of one run, by what the places that the tenant holds
// give reason to expect: a young backlog has nothing else.
func (b *backlogFlow) rate(p *poolFlow, tenant string, only bool) float64 {
	run := p.run()
	switch {
	case run == 0:
		return 0
	case only:
		return (b.gone + float64(p.held[tenant])) / (b.waited + run)
	case b.waited < run:
		return 0
	default:
		return b.gone / b.waited
	}
}

// waitingOn tells why a tenant's backlog waits: for fairness, when others have
// one as well and it was lately given about what they were on average.
func waitingOn(p *poolFlow, tenant string, rivals map[string]int) jobs.WaitingOn {
	total := 0.0
	for rival := range rivals {
		total += p.cost[rival]
	}
	if len(rivals) > 1 && total > 0 && p.cost[tenant]*float64(len(rivals)) >= total*3/4 {
		return jobs.WaitingOnFairness
	}
	return jobs.WaitingOnCapacity
}
