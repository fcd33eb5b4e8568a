package queue

import (
	"errors"
	"fmt"
)

// logger hands asynq's warnings and errors to Config.Report. They hold task
// ids and Redis errors, and payloads are ids as well.
type logger struct {
	report func(error)
}

// Debug is not wanted.
func (logger) Debug(...any) {}

// Info is not wanted.
func (logger) Info(...any) {}

// Warn reports.
func (l logger) Warn(args ...any) { l.report(errors.New("asynq: " + fmt.Sprint(args...))) }

// Error reports.
func (l logger) Error(args ...any) { l.Warn(args...) }

// Fatal reports: asynq itself never calls it, and a library does not exit.
func (l logger) Fatal(args ...any) { l.Warn(args...) }
