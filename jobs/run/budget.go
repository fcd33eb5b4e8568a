package run

import (
	"sync"

	"github.com/penstock-dev/penstock/jobs"
)

// hedgeWindow is over how many calls of a route its hedges are bounded.
const hedgeWindow = 1000

// budgets bound hedges by route: of any hedgeWindow calls in a row at most so
// many as the route's budget says are hedges, and before there were that many
// calls, as large a part of those.
type budgets struct {
	mu     sync.Mutex
	routes map[string]*budget
}

// budget is the window of one route.
type budget struct {
	// hedges counts those that followed each of the last calls, at of them the
	// next; sum is of them all.
	hedges [hedgeWindow]uint16
	at     int
	calls  int
	sum    int
}

func newBudgets() *budgets { return &budgets{routes: make(map[string]*budget)} }

// count notes a call.
func (b *budgets) count(route jobs.Route) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.routes[route.Name]
	if w == nil {
		w = &budget{}
		b.routes[route.Name] = w
	}
	w.at = (w.at + 1) % hedgeWindow
	w.sum -= int(w.hedges[w.at])
	w.hedges[w.at] = 0
	w.calls = min(w.calls+1, hedgeWindow)
}

// take reports whether one more hedge is within the budget, and spends it.
func (b *budgets) take(route jobs.Route) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.routes[route.Name]
	if w == nil || float64(w.sum+1) > route.HedgeBudget*float64(w.calls) {
		return false
	}
	w.hedges[w.at]++
	w.sum++
	return true
}
