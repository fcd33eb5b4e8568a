package app

import (
	"maps"
	"slices"

	"github.com/penstock-dev/penstock/jobs"
)

// PriceConfig is what a model costs, in US dollars per million tokens.
type PriceConfig struct {
	Input  float64 `yaml:"input"`
	Output float64 `yaml:"output"`
}

// WeighConfig is how much speed and price count for which target of an active_active
// route is called: 0 not at all; 1, which is the default, as much as there is of a
// difference.
type WeighConfig struct {
	Latency *float64 `yaml:"latency"`
	Price   *float64 `yaml:"price"`
}

// maxPrice is far above what any model costs.
const maxPrice = 1_000_000

// maxWeigh bounds how much a difference may be made of.
const maxWeigh = 10

// prices returns what targets cost.
func (f *File) prices() map[jobs.Target]jobs.Price {
	all := make(map[jobs.Target]jobs.Price)
	for provider, p := range f.Providers {
		for model, price := range p.Prices {
			all[jobs.Target{Provider: provider, Model: model}] = jobs.Price(price)
		}
	}
	return all
}

func (p ProviderConfig) validatePrices(key string) error {
	for _, model := range slices.Sorted(maps.Keys(p.Prices)) {
		if price := p.Prices[model]; !(price.Input >= 0 && price.Output >= 0 && price.Input+price.Output <= maxPrice) {
			return wrong(key+".prices."+model, "expected US dollars per million tokens, from 0 to %d, got %v and %v",
				maxPrice, price.Input, price.Output)
		}
	}
	return nil
}

func (w WeighConfig) validate(key string) error {
	of := w.weigh()
	if !(of.Latency >= 0 && of.Latency <= maxWeigh && of.Price >= 0 && of.Price <= maxWeigh) || of == (jobs.Weigh{}) {
		return wrong(key, "expected latency and price from 0 to %d, not both 0, got %v and %v", maxWeigh, of.Latency, of.Price)
	}
	return nil
}

func (w WeighConfig) weigh() jobs.Weigh {
	of := jobs.Weigh{}.OrDefault()
	if w.Latency != nil {
		of.Latency = *w.Latency
	}
	if w.Price != nil {
		of.Price = *w.Price
	}
	return of
}
