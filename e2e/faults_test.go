package e2e

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/e2e/history"
	"github.com/penstock-dev/penstock/internal/testenv"
)

// kind is a kind of fault.
type kind struct {
	name string
	// on is what processes it strikes: worker or api; empty for servers.
	on    string
	kills bool
	// lasts is how long, in the long form.
	lasts time.Duration
	// begin does it and returns what ends it.
	begin func(r *round, s strike) (end func())
	// draws says what else is drawn for it; nil: nothing.
	draws func(s *strike, draws *rand.Rand)
}

func (k kind) draw(s *strike, draws *rand.Rand) {
	s.lasts = k.lasts
	if k.draws != nil {
		k.draws(s, draws)
	}
}

var kinds = []kind{
	{name: "kill-worker", on: "worker", kills: true, lasts: 5 * time.Second, begin: killNode},
	{name: "kill-api", on: "api", kills: true, lasts: 5 * time.Second, begin: killNode},
	{name: "stop-worker", on: "worker", lasts: 30 * time.Second, begin: stopNode, draws: drawStop},
	{name: "stop-api", on: "api", lasts: 30 * time.Second, begin: stopNode},
	{name: "redis-killed", begin: killRedis},
	{name: "redis-flushed", begin: flushRedis},
	{name: "redis-away", lasts: 20 * time.Second, begin: awayRedis},
	{name: "postgres-away", lasts: 10 * time.Second, begin: awayPostgres},
	{name: "cut-redis", on: "worker", draws: drawCut, begin: cut(func(n *node) *testenv.Proxy { return n.redis })},
	{name: "cut-postgres", on: "worker", draws: drawCut, begin: cut(func(n *node) *testenv.Proxy { return n.postgres })},
	{name: "cut-provider", on: "worker", draws: drawCut, begin: cut(func(n *node) *testenv.Proxy { return n.provider })},
}

func kindNamed(name string) kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	panic("no kind of fault is named " + name)
}

// deadAfter is how long a worker must be silent for others to have reason to
// declare it dead. Between this and a little less nothing is tried.
const deadAfter = 6 * time.Second

func killNode(r *round, s strike) func() {
	n := r.node(s)
	fault := r.struck(s, n) // first: whoever has no answer from then on has a reason
	n.kill()
	r.note(fault, n, s.kind.on == "worker")
	return func() {
		if s.restart {
			r.revivals = append(r.revivals, func() {
				n.again()
				ready(r.t, n.addr)
				r.over(fault)
			})
		}
	}
}

func stopNode(r *round, s strike) func() {
	n := r.node(s)
	fault := r.struck(s, n)
	n.stop()
	r.note(fault, n, s.kind.on == "worker" && s.lasts > deadAfter)
	end := sync.OnceFunc(func() {
		if n.alive() {
			n.resume()
		}
		r.over(fault)
	})
	if s.untilElsewhere {
		r.errands.Go(func() {
			r.runsElsewhere(fault, s.lasts)
			end()
		})
	}
	return end
}

// drawStop draws how long a worker is stopped.
func drawStop(s *strike, draws *rand.Rand) { s.untilElsewhere = draws.IntN(2) == 0 }

// runsElsewhere waits until others run what a silent process ran.
func (r *round) runsElsewhere(fault int, most time.Duration) {
	ctx, cancel := context.WithTimeout(r.t.Context(), most)
	defer cancel()
	for ; ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		var held []history.Task
		r.edit(fault, func(f *history.Fault) { held = slices.Clone(f.Held) })
		if n, err := r.ledger.claimedSince(ctx, held); err == nil && n > 0 {
			return
		}
	}
}

func killRedis(r *round, s strike) func() {
	fault := r.struck(s, nil)
	r.redis.Kill()
	r.redis.Restart()
	r.over(fault)
	return func() {}
}

func flushRedis(r *round, s strike) func() {
	options, err := redis.ParseURL(r.redis.URL())
	if err != nil {
		r.t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	fault := r.struck(s, nil)
	if err := client.FlushAll(r.t.Context()).Err(); err != nil {
		r.t.Logf("Redis was not there to be flushed: %v", err) // another fault of the pair
	}
	r.over(fault)
	return func() {}
}

func awayRedis(r *round, s strike) func() {
	fault := r.struck(s, nil)
	r.edit(fault, func(f *history.Fault) { f.QueueAway = true })
	r.redis.Stop()
	return func() {
		r.redis.Restart()
		r.over(fault)
	}
}

func awayPostgres(r *round, s strike) func() {
	fault := r.struck(s, nil)
	r.edit(fault, func(f *history.Fault) { f.StoreAway = true })
	r.postgres.Stop()
	return func() {
		r.postgres.Restart()
		r.over(fault)
	}
}

// drawCut draws whom a cut strikes, how, and for how long: either too short for
// a worker to be declared dead, or such that one comes back about when what it
// held runs elsewhere.
func drawCut(s *strike, draws *rand.Rand) {
	if draws.IntN(2) == 0 {
		s.target = everyone
	}
	s.how = []string{"reset", "cut", "stall"}[draws.IntN(3)]
	if s.how != "reset" {
		s.lasts = []time.Duration{3 * time.Second, 7*time.Second + time.Duration(draws.IntN(3000))*time.Millisecond}[draws.IntN(2)]
	}
}

// cut returns a fault of the network between processes and a server.
func cut(to func(*node) *testenv.Proxy) func(*round, strike) func() {
	return func(r *round, s strike) func() {
		nodes := slices.Concat(r.apis, r.workers)
		var only *node
		if s.target != everyone {
			only = r.node(s)
			nodes = []*node{only}
		}
		fault := r.struck(s, only)
		for _, n := range nodes {
			sever(to(n), s.how)
		}
		store := s.kind.name == "cut-postgres"
		if only != nil {
			r.note(fault, only, store && s.lasts > deadAfter)
		}
		if store && only == nil {
			r.edit(fault, func(f *history.Fault) { f.StoreAway = true })
		}
		return func() {
			for _, n := range nodes {
				to(n).Heal()
			}
			r.over(fault)
		}
	}
}

func sever(p *testenv.Proxy, how string) {
	switch how {
	case "cut":
		p.Cut()
	case "stall":
		p.Stall()
	default:
		p.Reset()
	}
}

// note finds out what a process was running when it fell silent, if others have
// reason to declare it dead: it asks the store until it answers, and some more,
// since what the process had just sent may still be on its way.
func (r *round) note(fault int, n *node, deadly bool) {
	if !deadly {
		return
	}
	pid := n.cmd.Process.Pid
	r.errands.Go(func() {
		found := 0
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
		defer cancel()
		for ; found < 5 && ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
			tasks, err := r.ledger.held(ctx, pid)
			if err != nil {
				continue
			}
			found++
			r.hold(fault, tasks)
		}
	})
}
