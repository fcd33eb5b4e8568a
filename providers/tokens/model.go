package tokens

import (
	"cmp"
	"math"
	"math/bits"

	"github.com/penstock-dev/penstock/providers"
)

const (
	// usualOutput is what an answer is taken for before any was seen.
	usualOutput = 256
	// priorInput and priorAnswers are how much is expected beforehand weighs
	// beside what is seen: as much as input of so many tokens, as so many answers.
	priorInput, priorAnswers = 500, 4
	// memory is after how many answers what was seen weighs a third of what it did.
	memory = 200
	// Ratios beyond these are taken for a mistake on either side.
	minRatio, maxRatio = 1.0 / 8, 8
	// maxAnswer is the longest answer that is believed in.
	maxAnswer = 1 << 20
	// sizes is how many sizes of input are told apart, each twice the one before.
	sizes = 24
)

// model is what was learned about one model. It expects means, for a limit of
// tokens a minute is about sums: half of the requests cost more, some of them
// much. What was seen lately weighs most.
type model struct {
	// input sums up tokens as reported over tokens as counted.
	input ratio
	// outputs sum up tokens over answers, of all and by the size of the input, for
	// the one goes with the other.
	output  ratio
	outputs [sizes]ratio
	used    int64
}

// ratio is of two sums that fade.
type ratio struct{ over, under float64 }

func newModel() *model {
	return &model{
		input:  ratio{priorInput, priorInput},
		output: ratio{usualOutput * priorAnswers, priorAnswers},
	}
}

// inputOf returns the expected tokens of an input that was counted.
func (m *model) inputOf(counted int64) int64 {
	return int64(math.Round(float64(counted) * m.input.over / m.input.under))
}

// outputOf returns the expected tokens of one answer to such an input, bounded
// by limit if that is not 0.
func (m *model) outputOf(counted, limit int64) int64 {
	all, same := m.output.over/m.output.under, m.outputs[size(counted)]
	expected := int64(math.Round((same.over + all*priorAnswers) / (same.under + priorAnswers)))
	if limit > 0 {
		return min(limit, expected)
	}
	return expected
}

// size returns the place of an input in outputs.
func size(counted int64) int { return min(bits.Len64(uint64(max(0, counted))), sizes-1) }

func (m *model) learn(e Estimate, u providers.Usage) {
	if u.InputTokens > 0 && e.counted > 0 {
		counted := float64(e.counted)
		m.input.add(min(max(float64(u.InputTokens), counted*minRatio), counted*maxRatio), counted)
	}
	if u.OutputTokens > 0 {
		answers := float64(max(1, e.choices))
		tokens := min(float64(u.OutputTokens), answers*maxAnswer)
		m.output.add(tokens, answers)
		m.outputs[size(cmp.Or(e.counted, u.InputTokens))].add(tokens, answers)
	}
}

func (r *ratio) add(over, under float64) {
	const fade = 1 - 1.0/memory
	r.over, r.under = r.over*fade+over, r.under*fade+under
}
