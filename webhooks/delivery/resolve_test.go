package delivery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const address = "https://hooks.acme.com/penstock/jobs?x=1"
	_, err := r.service.Resolve(t.Context(), "acme", address)
	if of, pointers := code(err); of != jobs.CodeInvalidField || !slices.Equal(pointers, []string{"/webhook"}) || len(r.ensured) != 0 {
		t.Errorf("without a secret: got %v", err)
	}
	if _, err := r.service.RotateTenantSecret(t.Context(), "acme", "", nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got, err := r.service.Resolve(t.Context(), "acme", address)
		want := jobs.Webhook{URL: address, Endpoint: delivery.OriginID("acme", "https://hooks.acme.com")}
		if err != nil || got != want {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	}
	if len(r.ensured) != 1 {
		t.Fatalf("ensured %d times, want once", len(r.ensured))
	}
	if e := r.ensured[0]; e.URL != "https://hooks.acme.com" || !e.PerJob || e.Tenant != "acme" || e.Version != 1 || e.CreatedAt.IsZero() {
		t.Errorf("ensured %+v", e)
	}
}

func TestResolveRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for tenant := range map[string]bool{"acme": true, "other": true} {
		if _, err := r.service.RotateTenantSecret(t.Context(), tenant, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ tenant, address string }{
		{"other", "https://hooks.acme.com/penstock/jobs"},
		{"acme", "https://hooks.acme.com/penstock"},
		{"acme", "https://hooks.acme.com/penstockx/"},
		{"acme", "https://hooks.acme.com/"},
		{"acme", "https://hooks.acme.com:8443/penstock/"},
		{"acme", "http://hooks.acme.com/penstock/"},
		{"acme", "https://hooks.acme.com.evil.example/penstock/"},
		{"acme", "https://hooks.acme.com@evil.example/penstock/"},
		{"acme", "https://evil.example/penstock/"},
		{"acme", "https://hooks.acme.com./penstock/"},
		{"acme", "https://hooks.acme.com/penstock/../admin"},
		{"acme", "https://hooks.acme.com/penstock/..;/admin"},
		{"acme", "https://hooks.acme.com/penstock/%2e%2e/admin"},
		{"acme", "https://hooks.acme.com/penstock/%252e%252e/admin"},
		{"acme", "https://hooks.acme.com/penstock/..%2fadmin"},
		{"acme", "https://hooks.acme.com/penstock/a%2Fb"},
		{"acme", `https://hooks.acme.com/penstock/..%5cadmin`},
		{"acme", "https://hooks.acme.com/penstock/%00"},
		{"acme", "https://hooks.acme.com/penstock/#x"},
		{"acme", "//hooks.acme.com/penstock/"},
		{"acme", ""},
	} {
		_, err := r.service.Resolve(t.Context(), c.tenant, c.address)
		if of, pointers := code(err); of != jobs.CodeInvalidField || !slices.Equal(pointers, []string{"/webhook/url"}) {
			t.Errorf("%s %s: got %v", c.tenant, c.address, err)
		}
	}
	if len(r.ensured) != 0 {
		t.Errorf("ensured %v", r.ensured)
	}
	r.service.SetAllowed(nil)
	if _, err := r.service.Resolve(t.Context(), "acme", "https://hooks.acme.com/penstock/a"); err == nil {
		t.Error("what is allowed no longer is taken")
	}
}

func TestAllowedCoversWholeSegments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allowed, address string
		want             bool
	}{
		{"https://a.example", "https://a.example", true},
		{"https://a.example", "https://a.example/x/y", true},
		{"https://a.example:443/", "https://A.example/x", true},
		{"https://a.example/x", "https://a.example:443/x", true},
		{"https://a.example/x", "https://a.example/x/y?z=1", true},
		{"https://a.example/x", "https://a.example/x%20y", false},
		{"https://a.example/x", "https://a.example/xy", false},
		{"https://a.example/x/", "https://a.example/x/", true},
		{"https://a.example/x/", "https://a.example/x//y", true},
		{"https://a.example:8443/", "https://a.example:8443/x", true},
		{"https://a.example/ä", "https://a.example/%C3%A4/b", true},
	} {
		r := newRig(t)
		a, err := delivery.ParseAllowed(c.allowed)
		if err != nil {
			t.Fatal(err)
		}
		r.service.SetAllowed(map[string][]delivery.Allowed{"acme": {a}})
		r.secrets = []delivery.Secret{{Tenant: "acme", Owner: delivery.TenantOwner("acme")}}
		if _, err := r.service.Resolve(t.Context(), "acme", c.address); (err == nil) != c.want {
			t.Errorf("%s under %s: got %v, want %t", c.address, c.allowed, err, c.want)
		}
	}
}

func TestParseAllowedRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "no URL", "hooks.acme.com/x": "no URL", "ftp://a.example/": "no URL", "https:///x": "no URL", "https://a.example:x/": "no URL",
		"https://u:p@a.example/": "more than", "https://a.example/?x": "more than", "https://a.example/?": "more than",
		"https://a.example/#": "more than", "https://a.example/x/../y": "several ways", "https://a.example/%2e": "several ways",
	} {
		if _, err := delivery.ParseAllowed(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// However many origins there are, what is remembered of them is bounded, and each works.
func TestOriginsAreForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.secrets = []delivery.Secret{{Tenant: "acme", Owner: delivery.TenantOwner("acme")}}
	allowed := make([]delivery.Allowed, 5000)
	for i := range allowed {
		a, err := delivery.ParseAllowed(fmt.Sprintf("https://h%d.example/", i))
		if err != nil {
			t.Fatal(err)
		}
		allowed[i] = a
		r.service.SetAllowed(map[string][]delivery.Allowed{"acme": {a}})
		if _, err := r.service.Resolve(t.Context(), "acme", fmt.Sprintf("https://h%d.example/", i)); err != nil {
			t.Fatal(err)
		}
	}
	r.service.SetAllowed(map[string][]delivery.Allowed{"acme": allowed[:1]})
	before := len(r.ensured)
	if _, err := r.service.Resolve(t.Context(), "acme", "https://h0.example/"); err != nil || len(r.ensured) != before+1 {
		t.Errorf("the first is remembered after 5000 others: %v", err)
	}
}
