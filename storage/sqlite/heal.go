package sqlite

import (
	"context"
	"time"
)

// heal clears up after the process that had the file before. The lock says that
// it is dead, so nobody needs to wait until its silence proves it: what it was
// running has crashed, and what it had only released is ready again.
func (s *Store) heal(ctx context.Context) error {
	_, err := change(ctx, s, "heal", func(ctx context.Context, t *statements) (reclaimed, error) {
		for _, statement := range []string{
			`DELETE FROM workers`, `DELETE FROM leases`,
			`UPDATE batches INDEXED BY batches_live SET holder = NULL, held_until = 0 WHERE ended_at = 0`,
		} {
			if _, err := t.exec(ctx, statement); err != nil {
				return reclaimed{}, err
			}
		}
		claimed, err := all(ctx, t, scanID, `SELECT execution_id FROM releases WHERE worker IS NOT NULL`)
		if err != nil {
			return reclaimed{}, err
		}
		got, err := s.crashAll(ctx, t, claimed, time.Now())
		if err != nil {
			return reclaimed{}, err
		}
		return got, takeBackAll(ctx, t)
	})
	if err != nil {
		return err
	}
	if _, err = s.Settle(ctx); isUnavailable(err) {
		return err
	}
	return nil // what cannot be settled the upkeep reports
}

// takeBackAll takes back the releases that are left.
func takeBackAll(ctx context.Context, t *statements) error {
	unclaimed, err := all(ctx, t, scanID, `SELECT execution_id FROM releases`)
	if err != nil {
		return err
	}
	for _, execution := range unclaimed {
		if err := takeBack(ctx, t, execution); err != nil {
			return err
		}
	}
	return nil
}
