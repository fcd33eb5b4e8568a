// Package batches runs many requests as one piece of work. A batch has a file of lines,
// one request each. Its lines are read and checked first, as a whole; then they become
// jobs, a window of them at a time, so that a batch of any size is to everybody else a
// few jobs in the queue. What becomes of those jobs is noted by line.
package batches
