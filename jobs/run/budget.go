package run

import (
	"math"
	"sync"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// hedgeWindow is over how many calls hedges are bounded.
	hedgeWindow = 1000
	// hedgePrice is what a hedge costs; a call earns its route's budget of it.
	hedgePrice = 1_000_000
)

// budgets bound the hedges of a process: of any hedgeWindow calls in a row at most
// so many as their routes' budgets come to are hedges, and before there were that
// many calls, as large a part of those. The same goes for each route's own calls.
type budgets struct {
	mu     sync.Mutex
	all    window
	routes map[string]*window
}

func newBudgets() *budgets { return &budgets{routes: make(map[string]*window)} }

// count notes a call that might be hedged.
func (b *budgets) count(route jobs.Route) {
	b.mu.Lock()
	defer b.mu.Unlock()
	earned := int(math.Round(route.HedgeBudget * hedgePrice))
	b.all.count(earned)
	b.of(route).count(earned)
}

// left reports whether one more hedge is within the budget.
func (b *budgets) left(route jobs.Route) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.left() && b.of(route).left()
}

// take spends a hedge, and reports whether it is within the budget.
func (b *budgets) take(route jobs.Route) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.all.left() || !b.of(route).left() {
		return false
	}
	b.all.spend()
	b.of(route).spend()
	return true
}

func (b *budgets) of(route jobs.Route) *window {
	w := b.routes[route.Name]
	if w == nil {
		w = &window{}
		b.routes[route.Name] = w
	}
	return w
}

// window is the last calls.
type window struct {
	// calls is what each earned, and what was spent between it and the next. The
	// last is at.
	calls [hedgeWindow]struct{ earned, spent int }
	at    int
	// earned and spent are of them all.
	earned, spent int
}

func (w *window) count(earned int) {
	w.at = (w.at + 1) % hedgeWindow
	oldest := &w.calls[w.at]
	w.earned += earned - oldest.earned
	w.spent -= oldest.spent
	oldest.earned, oldest.spent = earned, 0
}

func (w *window) left() bool { return w.spent+hedgePrice <= w.earned }

func (w *window) spend() {
	w.calls[w.at].spent += hedgePrice
	w.spent += hedgePrice
}
