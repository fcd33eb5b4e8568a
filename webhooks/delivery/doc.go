// Package delivery sends events to endpoints: one attempt, what its answer means,
// and when the next one is due. Who sends what when is decided by its callers.
package delivery
