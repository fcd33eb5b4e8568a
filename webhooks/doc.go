// Package webhooks signs and verifies what is sent to a tenant's endpoints, as
// Standard Webhooks describes it. That is all there is so far: nothing in this
// package sends, schedules or stores a delivery.
//
// A receiver written in Go can use [ParseKey] and [Verify]; in other languages
// the libraries listed at https://www.standardwebhooks.com do the same.
package webhooks
