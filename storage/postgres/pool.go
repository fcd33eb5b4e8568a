package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// newPool returns a pool that connects when it is first used.
func newPool(ctx context.Context, c Config) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err) // pgconn leaves the password out
	}
	config.MaxConns = int32(c.MaxConns) //nolint:gosec // bounded by Config.fill
	config.ConnConfig.ConnectTimeout = c.ConnectTimeout
	config.PingTimeout = c.ConnectTimeout
	// A connection that died with the server is found within a second, so that
	// a server that has returned is used as soon.
	config.HealthCheckPeriod = time.Second
	config.MaxConnIdleTime = 5 * time.Minute
	config.AfterConnect = registerTypes
	if c.dial != nil {
		config.ConnConfig.DialFunc = c.dial
	}
	for name, value := range parameters(c) {
		if _, ok := config.ConnConfig.RuntimeParams[name]; !ok {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
}

// silence is how long a process may say nothing in the middle of a transaction
// before Postgres ends it: one that was stopped there holds locks, and the
// deadlines and cancels of those executions wait for them. Between two round
// trips of ours there is no waiting.
const silence = 1500 * time.Millisecond

// parameters are set on each connection.
//
// Statements are prepared once, and their plans must not hang on what a table
// held when it was last analysed: a queue that was empty then may hold a
// million rows now. So there is one plan for each, and it uses the indexes.
func parameters(c Config) map[string]string {
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	return map[string]string{
		"application_name":                    "penstock",
		"statement_timeout":                   ms(c.Timeout),
		"lock_timeout":                        ms(c.LockTimeout),
		"idle_in_transaction_session_timeout": ms(silence),
		"plan_cache_mode":                     "force_generic_plan",
		"enable_seqscan":                      "off",
		"enable_hashjoin":                     "off",
		"enable_mergejoin":                    "off",
		"jit":                                 "off",
	}
}

// registerTypes makes times come back as UTC, and ids go both ways in binary.
func registerTypes(_ context.Context, conn *pgx.Conn) error {
	types := conn.TypeMap()
	types.RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	types.TryWrapEncodePlanFuncs = append([]pgtype.TryWrapEncodePlanFunc{wrapID}, types.TryWrapEncodePlanFuncs...)
	types.TryWrapScanPlanFuncs = append([]pgtype.TryWrapScanPlanFunc{wrapIDTarget}, types.TryWrapScanPlanFuncs...)
	return nil
}
