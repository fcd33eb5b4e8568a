package postgres

import (
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// usage is token counts as columns: all are null when the provider reported
// none.
type usage struct {
	input, output, cached, reasoning *int64
}

func usageOf(j jobs.Job) usage { return usageOfCall(jobs.Call{Usage: j.Usage}) }

func usageOfCall(c jobs.Call) usage {
	if !c.Usage.Known {
		return usage{}
	}
	return usage{
		input: &c.Usage.InputTokens, output: &c.Usage.OutputTokens,
		cached: &c.Usage.CachedTokens, reasoning: &c.Usage.ReasoningTokens,
	}
}

// into lists where a row's four columns go.
func (u *usage) into() []any { return []any{&u.input, &u.output, &u.cached, &u.reasoning} }

// fill sets the usage of j.
func (u *usage) fill(j *jobs.Job) { j.Usage = u.tokens() }

func (u *usage) fillCall(c *jobs.Call) { c.Usage = u.tokens() }

func (u *usage) tokens() providers.Usage {
	return providers.Usage{
		Known: u.input != nil, InputTokens: orZero(u.input), OutputTokens: orZero(u.output),
		CachedTokens: orZero(u.cached), ReasoningTokens: orZero(u.reasoning),
	}
}
