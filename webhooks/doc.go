// Package webhooks signs and verifies what is sent to a tenant's endpoints, as
// Standard Webhooks describes it. Package guard keeps deliveries from addresses they
// must not reach, and package delivery makes single attempts; no process does so yet.
//
// A receiver written in Go can use [ParseKey] and [Verify]; in other languages
// the libraries listed at https://www.standardwebhooks.com do the same.
package webhooks
