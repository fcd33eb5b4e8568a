package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// fail turns an error of the database into one that a caller can act on.
// What the core knows passes as it is; what says that the database cannot be
// used now is unavailability; the rest is an error in words of our own, because
// those of the database and of its driver can quote values: prompts, keys.
func fail(ctx context.Context, doing string, err error) error {
	if err == nil || isCore(err) {
		return err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", doing, context.Canceled)
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return failState(doing, pg)
	}
	if isUnreachable(err) {
		return jobs.Unavailable(fmt.Errorf("%s: %w", doing, err))
	}
	return fmt.Errorf("%s: the driver failed with a %T", doing, root(err))
}

// isCore reports whether err is one the caller was promised.
func isCore(err error) bool {
	if _, ok := errors.AsType[*jobs.Error](err); ok {
		return true
	}
	for _, known := range []error{
		jobs.ErrStale, jobs.ErrProlonged, delivery.ErrTooMany, delivery.ErrChanged, delivery.ErrDisabled, ErrNewerSchema, ErrOlderSchema,
		batches.ErrNotHeld, batches.ErrStatus,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// failState maps an SQLSTATE.
func failState(doing string, pg *pgconn.PgError) error {
	said := fmt.Errorf("%s: %w", doing, &stateError{State: pg.Code, Table: pg.TableName, Constraint: pg.ConstraintName})
	switch {
	case pg.Code == "22021" || pg.Code == "22P05":
		return &jobs.Error{Code: jobs.CodeInvalidField, Message: "text cannot hold the character U+0000", Err: said}
	case isUnusable(pg.Code):
		return jobs.Unavailable(said)
	default:
		return said
	}
}

// isUnusable reports whether an SQLSTATE says that the database cannot be used
// now, rather than that the statement is wrong.
func isUnusable(state string) bool {
	switch state {
	case "25006", // read-only: a standby, or a primary that was demoted
		"25P03", "25P04", // idle_in_transaction_session_timeout, transaction_timeout
		"55P03", // lock_timeout
		"40001", "40P01":
		return true
	}
	switch state[:min(2, len(state))] {
	case "08", // connection
		"28", // not let in
		"3D", // no such database: being restored
		"53", // out of connections, memory, disk
		"57", // shut down, starting up, statement_timeout
		"58": // input and output
		return true
	default:
		return false
	}
}

// isUnreachable reports whether the connection failed, or none could be had.
func isUnreachable(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, known := range []error{
		context.DeadlineExceeded, context.Canceled, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, puddle.ErrClosedPool,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err)
}

// stateError is what the database said, without the values it quoted.
type stateError struct {
	// State is the SQLSTATE.
	State             string
	Table, Constraint string
}

func (e *stateError) Error() string {
	s := "SQLSTATE " + e.State
	if e.Table != "" {
		s += ", table " + e.Table
	}
	if e.Constraint != "" {
		s += ", constraint " + e.Constraint
	}
	return s
}

func root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
