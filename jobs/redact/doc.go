// Package redact takes out of submissions what must not be kept, before any of
// it is: [Rules] by patterns, [Service] by asking a service of the operator's,
// [Chain] by several one after the other.
//
// Rewritten are string values: every one in the request, however deep and
// whatever it is called, but the model; the values of metadata; the user. Text
// hides in more places than anyone lists (messages, tools, arguments of earlier
// calls, schemas, fields that a provider adds tomorrow), so none is left out, and
// a pattern that fits a word of the wire format, such as user or text, breaks the
// request it fits. Keys and numbers stay as they are.
package redact

import (
	"context"

	"github.com/penstock-dev/penstock/jobs"
)

// Chain returns a redactor that passes submissions through all, in order. It
// fails when one fails.
func Chain(all ...jobs.Redactor) jobs.Redactor { return chain(all) }

type chain []jobs.Redactor

func (c chain) Redact(ctx context.Context, s jobs.Sent) (jobs.Sent, error) {
	for _, r := range c {
		var err error
		if s, err = r.Redact(ctx, s); err != nil {
			return jobs.Sent{}, err
		}
	}
	return s, nil
}
