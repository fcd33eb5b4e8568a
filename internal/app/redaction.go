package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/redact"
)

// RedactionConfig says what is taken out of submissions before anything of them
// is kept: see package redact. Rules come first.
type RedactionConfig struct {
	Rules []RedactionRule `yaml:"rules"`
	// URL is a service of the operator's own; empty: none is asked.
	URL string `yaml:"url"`
	// APIKey is sent to it as bearer token; empty sends none.
	APIKey string `yaml:"api_key"`
	// Timeout bounds one question to it; 0: 5s.
	Timeout time.Duration `yaml:"timeout"`
}

// RedactionRule replaces what fits a pattern: see [redact.Rule].
type RedactionRule struct {
	Pattern string `yaml:"pattern"`
	Replace string `yaml:"replace"`
}

// expand puts in environment variables.
func (c *RedactionConfig) expand(getenv func(string) string) error {
	var err error
	if c.URL, err = expand(c.URL, getenv); err != nil {
		return wrong("redaction.url", "%v", err)
	}
	if c.APIKey, err = expand(c.APIKey, getenv); err != nil {
		return wrong("redaction.api_key", "%v", err)
	}
	return nil
}

func (c *RedactionConfig) validate() error {
	if len(c.Rules) == 0 && c.URL == "" {
		return wrong("redaction", "expected rules, url or both")
	}
	if c.URL == "" && (c.APIKey != "" || c.Timeout != 0) {
		return wrong("redaction", "api_key and timeout belong to url")
	}
	if c.Timeout < 0 || c.Timeout > redact.MaxTimeout {
		return wrong("redaction.timeout", "expected a duration of at most %s, such as 5s, got %s", redact.MaxTimeout, c.Timeout)
	}
	if c.URL != "" {
		if _, err := redact.NewService(c.service()); err != nil {
			return wrong("redaction.url", "expected a URL such as https://redact.internal/v1")
		}
	}
	_, err := c.rules()
	return err
}

func (c *RedactionConfig) service() redact.ServiceConfig {
	return redact.ServiceConfig{URL: c.URL, APIKey: c.APIKey, Timeout: c.Timeout}
}

func (c *RedactionConfig) rules() (redact.Rules, error) {
	list := make([]redact.Rule, len(c.Rules))
	for i, r := range c.Rules {
		list[i] = redact.Rule(r)
	}
	rules, err := redact.NewRules(list)
	if e, ok := errors.AsType[*redact.RuleError](err); ok {
		return nil, wrong(fmt.Sprintf("redaction.rules.%d.pattern", e.Index), "%v", e.Err)
	}
	if err != nil {
		return nil, wrong("redaction.rules", "%v", err)
	}
	return rules, nil
}

// redactor returns what redacts; nil if nothing does.
func (p *parts) redactor(c *RedactionConfig) (jobs.Redactor, error) {
	if c == nil {
		return nil, nil
	}
	rules, err := c.rules()
	if err != nil {
		return nil, err
	}
	all := []jobs.Redactor{rules}
	if c.URL != "" {
		service, err := redact.NewService(c.service())
		if err != nil {
			return nil, wrong("redaction.url", "%v", err)
		}
		p.closers = append(p.closers, service.Close)
		all = append(all, service)
	}
	return redact.Chain(all...), nil
}
