package jobs

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers"
)

// Check says of n what [Service.Submit] would, but keeps nothing: it looks at neither
// deadline, webhook nor idempotency key, and n is taken as it is, for a redactor is not
// asked. It returns the SHA-256 that [RequestHash] writes in hex.
func (s *Service) Check(n NewJob) (hash [32]byte, err error) {
	c, err := s.check(n)
	return c.hash, err
}

// CheckPolicy says of n what [Service.Submit] would of any request that it came with.
func (s *Service) CheckPolicy(n NewJob) error {
	if err := n.validate(); err != nil {
		return err
	}
	_, err := s.catalog.useCase(n.UseCase, Route{})
	return err
}

// checked is a submission that is good but for its deadline.
type checked struct {
	request        Request
	route          Route
	model, useCase string
	hash           [32]byte
}

func (s *Service) check(n NewJob) (checked, error) {
	all, err := bodyOf(n.Request)
	if err != nil {
		return checked{}, err
	}
	c, err := s.request(n, all)
	if err != nil {
		return checked{}, err
	}
	if err := n.validate(); err != nil {
		return checked{}, err
	}
	if c.useCase, err = s.catalog.useCase(n.UseCase, c.route); err != nil {
		return checked{}, err
	}
	c.hash = hashOf(n.Tenant, c.request, all)
	return c, nil
}

// request reads n's body and finds the route of its model.
func (s *Service) request(n NewJob, all fields) (c checked, err error) {
	b, err := readBody(all)
	if err != nil {
		return checked{}, err
	}
	r := Request{Endpoint: n.Endpoint, Body: n.Request, Sample: n.Sample}
	if r.Endpoint == "" {
		r.Endpoint = providers.ChatCompletions
	}
	if err := b.validate(r.Endpoint); err != nil {
		return checked{}, err
	}
	if c.route, err = s.catalog.Resolve(*b.Model); err != nil {
		return checked{}, err
	}
	if err := s.carried(c.route, r); err != nil {
		return checked{}, err
	}
	r.Route, r.Cost = c.route.Name, b.cost(r.Endpoint, s.input(r))
	c.request, c.model = r, *b.Model
	return c, nil
}

// body is what Penstock looks at in a request; all else passes through.
type body struct {
	Model               *string
	Messages            json.RawMessage
	Input               json.RawMessage
	MaxTokens           *int64
	MaxCompletionTokens *int64
	MaxOutputTokens     *int64
}

// readBody decodes field by field, so that a field of the wrong type is named.
func readBody(all fields) (body, error) {
	b := body{Messages: all.get("messages"), Input: all.get("input")}
	for _, f := range []struct {
		name, want string
		into       any
	}{
		{"model", "a string", &b.Model},
		{"max_tokens", "a whole number", &b.MaxTokens},
		{"max_completion_tokens", "a whole number", &b.MaxCompletionTokens},
		{"max_output_tokens", "a whole number", &b.MaxOutputTokens},
	} {
		if raw := all.get(f.name); raw != nil && json.Unmarshal(raw, f.into) != nil {
			return body{}, Invalid("/request/"+f.name, "must be %s", f.want)
		}
	}
	return b, nil
}
