// Package webhooks signs and verifies what is sent to a tenant's endpoints, as
// Standard Webhooks describes it. Package delivery has the words (endpoint, delivery,
// attempt), what the API does with them and the single attempt; package courier sends
// what is due; package guard keeps both from addresses that they must not reach.
//
// A receiver written in Go can use [ParseKey] and [Verify]; in other languages
// the libraries listed at https://www.standardwebhooks.com do the same.
package webhooks
