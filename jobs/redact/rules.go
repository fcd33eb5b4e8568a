package redact

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/penstock-dev/penstock/jobs"
)

// MaxRules is how many rules there may be.
const MaxRules = 100

// Rule replaces what fits a pattern.
type Rule struct {
	// Pattern is RE2, as package regexp has it: (?i) for any case, \b for the edge
	// of a word. One that fits the empty string is refused.
	Pattern string
	// Replace takes the place of each match; $1 or ${name} in it is a group, $$ a
	// dollar.
	Replace string
}

// RuleError says which rule is wrong.
type RuleError struct {
	// Index is that of the rule, from 0.
	Index int
	Err   error
}

// Error counts rules from 1.
func (e *RuleError) Error() string { return fmt.Sprintf("rule %d: %v", e.Index+1, e.Err) }

// Unwrap returns what is wrong.
func (e *RuleError) Unwrap() error { return e.Err }

// Rules is a [jobs.Redactor] that takes time in proportion to the length of a
// submission and the number of rules, and fails at what is not JSON alone.
type Rules []compiled

type compiled struct {
	pattern *regexp.Regexp
	replace string
}

var _ jobs.Redactor = Rules(nil)

// NewRules returns the rules, which are applied in order to what the one before
// left. The error is a *[RuleError] when one of them is wrong.
func NewRules(list []Rule) (Rules, error) {
	if len(list) > MaxRules {
		return nil, fmt.Errorf("%d rules: want at most %d", len(list), MaxRules)
	}
	rules := make(Rules, 0, len(list))
	for i, r := range list {
		pattern, err := compile(r.Pattern)
		if err != nil {
			return nil, &RuleError{Index: i, Err: err}
		}
		rules = append(rules, compiled{pattern: pattern, replace: r.Replace})
	}
	return rules, nil
}

func compile(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, errors.New("the pattern is empty")
	}
	p, err := regexp.Compile(pattern)
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		return nil, fmt.Errorf("the pattern is not RE2: %s: %q", e.Code, e.Expr)
	}
	if err != nil {
		return nil, fmt.Errorf("the pattern is not RE2: %w", err)
	}
	if p.MatchString("") {
		return nil, errors.New("the pattern fits the empty string, which is everywhere")
	}
	return p, nil
}

// Redact applies the rules: see [jobs.Redactor].
func (r Rules) Redact(_ context.Context, s jobs.Sent) (jobs.Sent, error) {
	var err error
	if s.Request, err = rewriteStrings(s.Request, r.text); err != nil {
		return jobs.Sent{}, err
	}
	s.User = r.text(s.User)
	if s.Metadata != nil {
		redacted := make(map[string]string, len(s.Metadata))
		for k, v := range s.Metadata {
			redacted[k] = r.text(v)
		}
		s.Metadata = redacted
	}
	return s, nil
}

func (r Rules) text(s string) string {
	for _, rule := range r {
		s = rule.pattern.ReplaceAllString(s, rule.replace)
	}
	return s
}
