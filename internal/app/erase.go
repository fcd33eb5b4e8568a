package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/penstock-dev/penstock/storage"
	"github.com/penstock-dev/penstock/storage/sealed"
	"github.com/penstock-dev/penstock/storage/tenantkey"
)

// eraseTenant forgets the keys of a tenant and says what that did. It needs no
// secret: what is wrapped is thrown away as it is. A tenant that never had a key
// is an error: most likely its name is wrong.
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
		return fmt.Errorf("%w; what was done is done: run it again", err)
	}
	if erased.Keys == 0 && erased.Before == 0 {
		return fmt.Errorf("tenant %q has no data key: nothing is sealed for it, and what is kept in plain stays", tenant)
	}
	tellErased(out, tenant, erased)
	return nil
}

func tellErased(out io.Writer, tenant string, e tenantkey.Erased) {
	fmt.Fprintf(out, "tenant %q: %s erased (and %d before); what they sealed is unreadable now, and within 30 s in every process that runs\n",
		tenant, count(e.Keys, "data key"), e.Before)
	fmt.Fprintf(out, "%s ended as failed, code erased, and %s with them\n",
		count(e.Executions, "live execution"), count(len(e.Ended), "job"))
	fmt.Fprintln(out, "still there: metadata, user, model, request hash, times, usage; webhook endpoints with URL and headers; "+
		"payloads kept before there was a secret; and the keys in backups: see docs/OPERATING.md, Erasing a tenant")
}

// count returns such as 1 job, 2 jobs.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
