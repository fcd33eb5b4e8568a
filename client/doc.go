// Package client speaks to Penstock's API: it submits jobs, waits for them, follows their
// answers while they arrive, and lists them.
//
// What is refused for now (429, 503) and what is lost on the way is asked for again, by
// itself, as often as [WithRetries] says. Every submission has an idempotency key, the
// caller's or one made here, so that repeating it submits nothing twice. What the API
// refuses for good is an *[Error].
//
// It needs the standard library and github.com/google/uuid, and nothing else of Penstock:
// webhooks are verified by github.com/penstock-dev/penstock/webhooks.
package client
