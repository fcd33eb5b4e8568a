package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/penstock-dev/penstock/storage"
	"github.com/penstock-dev/penstock/storage/sealed"
)

// eraseTenant forgets the keys of a tenant and says what that did. It needs no
// secret: what is wrapped is thrown away as it is.
func eraseTenant(ctx context.Context, role Role, getenv func(string) string, tenant string, out io.Writer) (err error) {
	c := fromEnvironment(role, getenv)
	if err := c.checkDatabase(); err != nil {
		return err
	}
	store, err := storage.Open(ctx, c.DatabaseURL)
	if err != nil {
		return fmt.Errorf("open the store that PENSTOCK_DATABASE_URL names: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	erased, err := sealed.Erase(ctx, store, tenant)
	if err != nil {
		return err
	}
	if erased.Keys == 0 {
		fmt.Fprintf(out, "tenant %q has no key: nothing that can be read is sealed for it, and nothing was erased\n", tenant)
	} else {
		fmt.Fprintf(out, "tenant %q: %d data keys erased; what they sealed is gone, within a minute in every process\n",
			tenant, erased.Keys)
	}
	fmt.Fprintf(out, "%d live executions ended as failed, and %d jobs with them\n", erased.Executions, len(erased.Ended))
	fmt.Fprintln(out, "what is kept in plain stays: metadata, user, model, request hash, and payloads from before there was a secret;"+
		" what backups hold can be read with their copy of the keys: see docs/OPERATING.md")
	return nil
}
