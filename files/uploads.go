package files

import (
	"sync"

	"github.com/penstock-dev/penstock/jobs"
)

// CodeTooMany says that as many uploads are under way as may be.
const CodeTooMany jobs.Code = "rate_limited"

var errTooMany = &jobs.Error{Code: CodeTooMany, Message: "as many uploads are under way here as may be; try again"}

// uploads counts those under way.
type uploads struct {
	most int

	mu  sync.Mutex
	all int
	of  map[string]int
}

// begin counts another upload of a tenant, if there may be one.
func (u *uploads) begin(tenant string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all >= u.most || u.of[tenant] >= (u.most+1)/2 {
		return errTooMany
	}
	u.all++
	u.of[tenant]++
	return nil
}

func (u *uploads) end(tenant string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all--
	if u.of[tenant]--; u.of[tenant] == 0 {
		delete(u.of, tenant)
	}
}
