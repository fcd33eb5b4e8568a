package months

import (
	"sync"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/e2e/history"
)

// What breaks.
const (
	killLeader  = "kill the dispatcher" // and what else runs in its process
	killProcess = "kill a process"      // and start another after a while
	restart     = "restart a process"   // in good order
	cutOff      = "cut a process off"   // from the store, until it is declared dead and another does its work
	cutShortly  = "cut a process off shortly"
	queueCut    = "cut a process off from the queue"
	queueLost   = "empty the queue"
	storeAway   = "store away"
)

// breakAll does what the plan says until its time is over, and returns when all
// is whole again.
func (f *fleet) breakAll() {
	var under sync.WaitGroup
	defer under.Wait()
	for _, broken := range f.plan.faults {
		time.Sleep(time.Until(f.begun.Add(broken.at)))
		under.Go(func() { f.do(broken) })
	}
}

func (f *fleet) do(broken fault) {
	from := time.Now()
	told := history.Fault{Name: broken.what, From: from}
	switch broken.what {
	case storeAway:
		told.StoreAway = true
		f.loseStore(broken.lasts)
	case queueLost:
		f.queue.Lose()
	default:
		p := f.find(broken)
		told.Process = p.name
		f.breakProcess(p, broken, &told)
	}
	told.To = time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen.Faults = append(f.seen.Faults, told)
}

func (f *fleet) breakProcess(p *process, broken fault, told *history.Fault) {
	switch broken.what {
	case killLeader, killProcess:
		p.kill()
		f.upstream.disown(p)
		told.Held = f.heldBy(p)
		time.Sleep(broken.lasts)
		<-p.over
		f.replace(p)
	case restart:
		p.stop()
		<-p.over
		time.Sleep(broken.lasts)
		f.replace(p)
	case cutOff:
		p.unheard.Add(1)
		p.blind.Add(1)
		f.upstream.disown(p)
		told.Held = f.heldBy(p)
		f.untilRepeated(told.Held, broken.lasts)
		p.blind.Add(-1)
		time.Sleep(pace.Dead) // until it beats and its word is heard
		p.unheard.Add(-1)
	case cutShortly:
		p.blind.Add(1)
		time.Sleep(broken.lasts)
		p.blind.Add(-1)
	case queueCut:
		p.mute.Add(1)
		time.Sleep(broken.lasts)
		p.mute.Add(-1)
	}
}

// untilRepeated waits until one of the tasks is being called for under a later
// fence, which is the worst moment to come back with its answer; at most for d.
func (f *fleet) untilRepeated(tasks []history.Task, d time.Duration) {
	for last := time.Now().Add(d); time.Now().Before(last); time.Sleep(time.Second) {
		if f.upstream.repeats(tasks) {
			return
		}
	}
}

func (f *fleet) loseStore(d time.Duration) {
	f.away.Add(1)
	time.Sleep(d)
	f.mu.Lock()
	f.back = time.Now()
	f.mu.Unlock()
	f.away.Add(-1)
}

// find returns the process that something happens to. What matters most hits
// the one with the most calls in flight, as soon as there is one.
func (f *fleet) find(broken fault) *process {
	if broken.what == killProcess || broken.what == cutOff {
		for range 600 {
			if p := f.upstream.busiest(); p != nil {
				return p
			}
			time.Sleep(time.Second)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if broken.what == killLeader {
		for _, p := range f.slots {
			if p.leads.Load() && !p.dead() {
				return p
			}
		}
	}
	return f.slots[broken.slot]
}

// replace starts another process in the place of p, unless somebody has.
func (f *fleet) replace(p *process) {
	f.mu.Lock()
	slot := -1
	for i, other := range f.slots {
		if other == p {
			slot = i
		}
	}
	f.mu.Unlock()
	if slot >= 0 {
		f.start(slot)
	}
}

// heldBy returns what the process is running by its own claims, once what it had
// under way at the store is done.
func (f *fleet) heldBy(p *process) []history.Task {
	f.quiet <- struct{}{}
	synctest.Wait()
	<-f.quiet
	return query(f, func(row scanner) (t history.Task, err error) {
		var id uuid.UUID
		err = row.Scan(&id, &t.Fence)
		t.Execution = id.String()
		return t, err
	}, `SELECT execution_id, fence FROM releases WHERE worker = ?`, p.id[:])
}
