// Package jobs holds what Penstock is about: jobs, the executions they wait
// for, the calls an execution makes, and the events that tell of their end.
// It says what it needs of the outside as small interfaces ([Store], [Queue],
// [Signals]); packages below and beside it implement them.
//
// The store is the truth and the queue is a window on it: losing the queue or
// a signal costs time, never a job.
package jobs
