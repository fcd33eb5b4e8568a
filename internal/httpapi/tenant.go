package httpapi

import (
	"github.com/penstock-dev/penstock/jobs"
)

// DefaultTenant is whose requests are that name no tenant, or none that is
// believed.
const DefaultTenant = "default"

const (
	headerTenant = "Penstock-Tenant"
	maxTenant    = 64
)

// tenanted finds out whose request it is before handle sees it, and that it is
// meant for us. Answers are
// one tenant's own, so that no shared cache may keep them.
func (a *API) tenanted(handle func(*exchange) error) func(*exchange) error {
	return func(x *exchange) error {
		x.header().Set("Cache-Control", "private, no-cache")
		if err := a.checkHost(x.Request()); err != nil {
			return err
		}
		tenant, err := a.tenant(x.Request().Header.Values(headerTenant))
		if err != nil {
			return err
		}
		x.tenant = tenant
		return handle(x)
	}
}

func (a *API) tenant(given []string) (string, error) {
	if !a.cfg.TrustTenantHeader || len(given) == 0 {
		return DefaultTenant, nil
	}
	if len(given) > 1 {
		return "", jobs.Invalid("", "the header %s is there twice", headerTenant)
	}
	if !validTenant(given[0]) {
		return "", jobs.Invalid("", "the header %s must be 1 to %d letters, digits, dots, dashes or underscores",
			headerTenant, maxTenant)
	}
	return given[0], nil
}

func validTenant(s string) bool {
	if s == "" || len(s) > maxTenant {
		return false
	}
	for _, c := range []byte(s) {
		if !alphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
