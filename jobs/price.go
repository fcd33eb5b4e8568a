package jobs

// Price is what a model costs, in US dollars per million tokens.
type Price struct{ Input, Output float64 }

// inputShare is the part of a request's tokens that is taken for input where prices
// are compared before anybody knows.
const inputShare = 0.75

// Mean is what a million tokens cost of which three in four are input.
func (p Price) Mean() float64 { return inputShare*p.Input + (1-inputShare)*p.Output }

// WithPrices returns the catalog with what targets cost. It is the one place that
// knows.
func (c *Catalog) WithPrices(prices map[Target]Price) *Catalog {
	e := *c.entries.Load()
	e.prices = prices
	with := &Catalog{}
	with.entries.Store(&e)
	return with
}

// Price returns what a target costs, and whether that is known.
func (c *Catalog) Price(t Target) (Price, bool) {
	p, known := c.entries.Load().prices[t]
	return p, known
}
