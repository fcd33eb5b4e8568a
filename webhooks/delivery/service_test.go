package delivery_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks"
	"github.com/penstock-dev/penstock/webhooks/delivery"
	"github.com/penstock-dev/penstock/webhooks/guard"
)

// kept is an EndpointStore of one endpoint and what was last done to it. What it is
// asked beside fails the test.
type kept struct {
	delivery.EndpointStore

	endpoint delivery.Watched
	secrets  []delivery.Secret
	told     []delivery.Event
	ensured  []delivery.Endpoint
	replay   delivery.Replay
	query    delivery.Query
	until    time.Time
	// races is how many updates find that another came before.
	races int
	err   error
}

func (k *kept) CreateEndpoint(_ context.Context, e delivery.Endpoint, s delivery.Secret) error {
	k.endpoint = delivery.Watched{Endpoint: e, PublicKey: s.PublicKey}
	k.secrets = append(k.secrets, s)
	return k.err
}

func (k *kept) EnsureEndpoint(_ context.Context, e delivery.Endpoint) error {
	k.ensured = append(k.ensured, e)
	return k.err
}

func (k *kept) Endpoint(_ context.Context, tenant string, id uuid.UUID) (delivery.Watched, error) {
	if k.endpoint.ID != id || k.endpoint.Tenant != tenant {
		return delivery.Watched{}, jobs.ErrNotFound
	}
	return k.endpoint, nil
}

func (k *kept) Endpoints(_ context.Context, _ string, _ uuid.UUID, limit int) ([]delivery.Watched, error) {
	return slices.Repeat([]delivery.Watched{k.endpoint}, min(limit, 3)), k.err
}

func (k *kept) UpdateEndpoint(_ context.Context, e delivery.Endpoint) error {
	if k.races > 0 {
		k.races--
		k.endpoint.Version++
		k.endpoint.Description = "of another"
	}
	if e.Version != k.endpoint.Version {
		return delivery.ErrChanged
	}
	k.endpoint.Endpoint = e
	k.endpoint.Version++
	return k.err
}

func (k *kept) DeleteEndpoint(context.Context, string, uuid.UUID) error {
	k.endpoint = delivery.Watched{}
	return k.err
}

func (k *kept) RotateSecret(_ context.Context, s delivery.Secret, until time.Time) (int, error) {
	k.secrets, k.until = append(k.secrets, s), until
	return len(k.secrets) - 1, k.err
}

func (k *kept) HasSecret(_ context.Context, tenant string, owner uuid.UUID, _ time.Time) (bool, error) {
	return slices.ContainsFunc(k.secrets, func(s delivery.Secret) bool { return s.Tenant == tenant && s.Owner == owner }), k.err
}

func (k *kept) Tell(_ context.Context, e delivery.Event) ([]delivery.Delivery, error) {
	k.told = append(k.told, e)
	return []delivery.Delivery{{ID: delivery.IDOf(e.ID, e.Only), Type: e.Type, Trigger: e.Trigger}}, k.err
}

func (k *kept) Deliveries(_ context.Context, q delivery.Query) ([]delivery.Delivery, error) {
	k.query = q
	return make([]delivery.Delivery, min(q.Limit, 3)), k.err
}

func (k *kept) StartReplay(_ context.Context, r delivery.Replay) (delivery.Replay, error) {
	k.replay = r
	return r, k.err
}

// rig is a service over a kept endpoint.
type rig struct {
	*kept

	service *delivery.Service
	// changes counts what couriers were told.
	changes int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	g, err := guard.New(guard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	under, err := delivery.ParseAllowed("https://hooks.acme.com/penstock/")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{kept: &kept{}}
	r.service, err = delivery.NewService(delivery.ServiceConfig{
		Store: r.kept, Guard: g, Allowed: map[string][]delivery.Allowed{"acme": {under}}, Changed: func(context.Context, ...uuid.UUID) { r.changes++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// create makes the one endpoint.
func (r *rig) create(t *testing.T) delivery.Watched {
	t.Helper()
	w, _, err := r.service.Create(t.Context(), "acme", delivery.Change{URL: new("https://example.com/hooks")}, "")
	if err != nil {
		t.Fatal(err)
	}
	r.changes = 0
	return w
}

// code returns the code of an error, and its pointers.
func code(err error) (jobs.Code, []string) {
	var pointers []string
	var of jobs.Code
	var walk func(error)
	walk = func(err error) {
		if all, ok := err.(interface{ Unwrap() []error }); ok {
			for _, one := range all.Unwrap() {
				walk(one)
			}
			return
		}
		if e, ok := errors.AsType[*jobs.Error](err); ok {
			of, pointers = e.Code, append(pointers, e.Pointer)
		}
	}
	walk(err)
	slices.Sort(pointers)
	return of, pointers
}

func TestAServiceNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := delivery.NewService(delivery.ServiceConfig{}); err == nil || !strings.Contains(err.Error(), "Store and Guard") {
		t.Errorf("got %v", err)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	for signature, prefix := range map[delivery.Signature]string{"": "whsec_", "v1": "whsec_", "v1a": "whsk_"} {
		r := newRig(t)
		w, secret, err := r.service.Create(t.Context(), "acme", delivery.Change{
			URL: new("https://example.com/hooks"), Types: &[]string{"job.*"}, PerMinute: new(60),
		}, signature)
		if err != nil {
			t.Fatal(err)
		}
		if w.Tenant != "acme" || w.URL != "https://example.com/hooks" || w.PerMinute != 60 || w.Version != 1 || w.CreatedAt.IsZero() || w.Disabled != "" {
			t.Errorf("got %+v", w)
		}
		if !reflect.DeepEqual(w, r.endpoint) || r.changes != 1 {
			t.Errorf("kept %+v, told %d times", r.endpoint, r.changes)
		}
		if secret.Owner != w.ID || secret.Tenant != "acme" || !strings.HasPrefix(secret.Key, prefix) {
			t.Errorf("got a secret %.6s of %s", secret.Key, secret.Owner)
		}
		key, err := webhooks.ParseKey(secret.Key)
		if err != nil {
			t.Fatal(err)
		}
		if public, _ := key.Public(); public != w.PublicKey || (public != "") != (signature == "v1a") {
			t.Errorf("signature %q: public key %q, the endpoint says %q", signature, public, w.PublicKey)
		}
	}
}

func TestCreateNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, _, err := r.service.Create(t.Context(), "acme", delivery.Change{
		URL: new("https://10.0.0.1/"), Types: &[]string{"*", "job.done", "job.lost"}, Timeout: new(time.Hour), Concurrency: new(-1),
	}, "v2")
	of, pointers := code(err)
	want := []string{"/concurrency", "/signature", "/timeout", "/types/1", "/types/2", "/url"}
	if of != jobs.CodeInvalidField || !slices.Equal(pointers, want) {
		t.Errorf("got %s %v, want %v", of, pointers, want)
	}
	if r.endpoint.ID != uuid.Nil || r.changes != 0 {
		t.Error("something was kept")
	}
}

func TestUpdateChangesWhatIsSaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.create(t)
	r.endpoint.Types, r.endpoint.Timeout = []string{"job.*"}, time.Second
	r.races = 2
	got, err := r.service.Update(t.Context(), "acme", w.ID, delivery.Change{Timeout: new(time.Duration), PerMinute: new(5)})
	if err != nil {
		t.Fatal(err)
	}
	if got.URL != w.URL || got.Timeout != 0 || got.PerMinute != 5 || !slices.Equal(got.Types, []string{"job.*"}) || got.Description != "of another" {
		t.Errorf("got %+v", got)
	}
	if got.Version != r.endpoint.Version || r.changes != 1 {
		t.Errorf("got version %d, want %d; told %d times", got.Version, r.endpoint.Version, r.changes)
	}
	r.races = 1000
	_, err = r.service.Update(t.Context(), "acme", w.ID, delivery.Change{PerMinute: new(6)})
	if of, _ := code(err); of != jobs.CodeConflict || r.races != 995 {
		t.Errorf("got %v after %d tries, want a conflict after 5", err, 1000-r.races)
	}
}

func TestUpdateRefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.create(t)
	before := r.endpoint
	_, err := r.service.Update(t.Context(), "acme", w.ID, delivery.Change{URL: new("http://example.com"), Timeout: new(time.Hour)})
	if of, pointers := code(err); of != jobs.CodeInvalidField || !slices.Equal(pointers, []string{"/timeout", "/url"}) {
		t.Errorf("got %v", err)
	}
	if !reflect.DeepEqual(r.endpoint, before) || r.changes != 0 {
		t.Error("something was changed")
	}
	for _, tenant := range []string{"other", ""} {
		if _, err := r.service.Update(t.Context(), tenant, w.ID, delivery.Change{}); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("another tenant: got %v", err)
		}
	}
}

// An operator may allow less than before: the URL of an endpoint is judged when it is
// said, and whenever something is sent to it.
func TestAURLThatIsNoLongerAllowedIsInNoOthersWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.create(t)
	r.endpoint.URL = "http://10.0.0.1/"
	got, err := r.service.Update(t.Context(), "acme", w.ID, delivery.Change{Disabled: new(true), Timeout: new(time.Second)})
	if err != nil || got.Disabled != delivery.DisabledByTenant || got.Timeout != time.Second {
		t.Errorf("disable it: got %+v, %v", got, err)
	}
	_, err = r.service.Update(t.Context(), "acme", w.ID, delivery.Change{Timeout: new(time.Hour)})
	if _, pointers := code(err); !slices.Equal(pointers, []string{"/timeout"}) {
		t.Errorf("another field that is wrong: got %v", err)
	}
	_, err = r.service.Update(t.Context(), "acme", w.ID, delivery.Change{URL: new("http://10.0.0.1/")})
	if _, pointers := code(err); !slices.Equal(pointers, []string{"/url"}) {
		t.Errorf("say it again: got %v", err)
	}
}

func TestDisableAndEnable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.create(t)
	r.endpoint.State = delivery.State{Failures: 3}
	made := w.ChangedAt.Add(-time.Hour)
	r.endpoint.ChangedAt = made
	say := func(disabled bool) delivery.Watched {
		t.Helper()
		got, err := r.service.Update(t.Context(), "acme", w.ID, delivery.Change{Disabled: &disabled})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := say(false); got.Disabled != "" || !got.ChangedAt.Equal(made) || got.Failures != 3 {
		t.Errorf("enabled and told so: got %+v", got)
	}
	if got := say(true); got.Disabled != delivery.DisabledByTenant || got.ChangedAt.Equal(made) || got.Failures != 3 {
		t.Errorf("disabled: got %+v", got)
	}
	r.endpoint.Disabled = delivery.DisabledGone
	if got := say(true); got.Disabled != delivery.DisabledGone {
		t.Errorf("disabled already: got %q, want it to stay", got.Disabled)
	}
	if got := say(false); got.Disabled != "" || got.State != (delivery.State{}) {
		t.Errorf("enabled again: got %+v", got)
	}
}

func TestListSaysWhetherThereAreMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for limit, more := range map[int]bool{2: true, 3: false, 10: false} {
		page, got, err := r.service.List(t.Context(), "acme", uuid.Nil, limit)
		if err != nil || got != more || len(page) != min(limit, 3) {
			t.Errorf("limit %d: %d, %t, %v", limit, len(page), got, err)
		}
		deliveries, got, err := r.service.Deliveries(t.Context(), delivery.Query{Tenant: "acme", Limit: limit})
		if err != nil || got != more || len(deliveries) != min(limit, 3) {
			t.Errorf("deliveries, limit %d: %d, %t, %v", limit, len(deliveries), got, err)
		}
	}
	if _, _, err := r.service.Deliveries(t.Context(), delivery.Query{Tenant: "acme", Endpoint: uuid.New(), Limit: 1}); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("deliveries of no endpoint: got %v", err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.create(t)
	if err := r.service.Delete(t.Context(), "acme", w.ID); err != nil || r.changes != 1 {
		t.Errorf("got %v, told %d times", err, r.changes)
	}
	if err := r.service.Delete(t.Context(), "acme", w.ID); !errors.Is(err, jobs.ErrNotFound) || !strings.Contains(err.Error(), "webhook endpoint") {
		t.Errorf("again: got %v", err)
	}
}

// What stands for the webhooks of jobs is there as long as jobs may name it.
func TestAnEndpointOfJobsIsNotLikeOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.create(t)
	r.endpoint.PerJob = true
	ctx := t.Context()
	for name, err := range map[string]error{
		"delete": r.service.Delete(ctx, "acme", w.ID),
		"rotate": second(r.service.Rotate(ctx, "acme", w.ID, "", nil)),
		"test":   second(r.service.Test(ctx, "acme", w.ID)),
	} {
		if of, _ := code(err); of != jobs.CodeConflict {
			t.Errorf("%s: got %v, want a conflict", name, err)
		}
	}
	_, err := r.service.Update(ctx, "acme", w.ID, delivery.Change{URL: &w.URL, Types: &w.Types, Metadata: &w.Metadata, PerMinute: new(1)})
	if _, pointers := code(err); !slices.Equal(pointers, []string{"/metadata", "/types", "/url"}) {
		t.Errorf("update: got %v", err)
	}
	if got, err := r.service.Update(ctx, "acme", w.ID, delivery.Change{PerMinute: new(1), Disabled: new(true)}); err != nil || got.PerMinute != 1 {
		t.Errorf("update: got %+v, %v", got, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestRotate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.create(t)
	for _, c := range []struct {
		signature delivery.Signature
		overlap   *time.Duration
		prefix    string
		lasts     time.Duration
	}{
		{"", nil, "whsec_", 24 * time.Hour},
		{"v1a", new(time.Hour), "whsk_", time.Hour},
		{"", new(time.Duration), "whsk_", 0}, // as it was
		{"v1", new(7 * 24 * time.Hour), "whsec_", 7 * 24 * time.Hour},
	} {
		began := time.Now().Truncate(time.Microsecond)
		got, err := r.service.Rotate(t.Context(), "acme", w.ID, c.signature, c.overlap)
		if err != nil {
			t.Fatal(err)
		}
		r.endpoint.PublicKey = got.PublicKey
		if got.Owner != w.ID || !strings.HasPrefix(got.Key, c.prefix) || (got.PublicKey != "") != (c.prefix == "whsk_") {
			t.Errorf("%+v: got %.6s of %s", c, got.Key, got.Owner)
		}
		if d := r.until.Sub(began); d < c.lasts || d > c.lasts+time.Minute {
			t.Errorf("%+v: those before last %v", c, d)
		}
		if want := c.lasts > 0; got.PreviousUntil.IsZero() == want || want && !got.PreviousUntil.Equal(r.until) {
			t.Errorf("%+v: says until %v", c, got.PreviousUntil)
		}
	}
	if r.changes != 4 {
		t.Errorf("told %d times, want 4", r.changes)
	}
	for pointer, err := range map[string]error{
		"/overlap":   second(r.service.Rotate(t.Context(), "acme", w.ID, "", new(8*24*time.Hour))),
		"/signature": second(r.service.RotateTenantSecret(t.Context(), "acme", "v2", nil)),
	} {
		if of, pointers := code(err); of != jobs.CodeInvalidField || !slices.Equal(pointers, []string{pointer}) {
			t.Errorf("got %v, want %s", err, pointer)
		}
	}
	if err := second(r.service.RotateTenantSecret(t.Context(), "acme", "", new(-time.Second))); err == nil {
		t.Error("an overlap in the past is taken")
	}
	if _, err := r.service.Rotate(t.Context(), "other", w.ID, "", nil); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("another tenant: got %v", err)
	}
}

func TestTheFirstSecretOfATenantReplacesNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got, err := r.service.RotateTenantSecret(t.Context(), "acme", "", nil)
	if err != nil || got.Owner != delivery.TenantOwner("acme") || got.Tenant != "acme" || !got.PreviousUntil.IsZero() {
		t.Errorf("got one of %s until %v, %v", got.Owner, got.PreviousUntil, err)
	}
}

func TestTest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.create(t)
	d, err := r.service.Test(t.Context(), "acme", w.ID)
	if err != nil || len(r.told) != 1 || r.changes != 1 {
		t.Fatalf("got %v, told %+v", err, r.told)
	}
	e := r.told[0]
	if e.Tenant != "acme" || e.Type != "endpoint.test" || e.Only != w.ID || e.Trigger != delivery.TriggerTest || d.ID != delivery.IDOf(e.ID, w.ID) {
		t.Errorf("got %+v, told %+v", d, e)
	}
	if want := `{"id":"` + w.ID.String() + `","object":"webhook_endpoint","url":"https://example.com/hooks"}`; string(e.Data) != want {
		t.Errorf("tells %s, want %s", e.Data, want)
	}
	r.endpoint.Disabled = delivery.DisabledFailing
	if of, _ := code(second(r.service.Test(t.Context(), "acme", w.ID))); of != jobs.CodeConflict || len(r.told) != 1 {
		t.Errorf("disabled: got %s, told %d", of, len(r.told))
	}
	_, err = r.service.Update(t.Context(), "acme", w.ID, delivery.Change{Types: &[]string{delivery.EndpointTest}})
	if _, pointers := code(err); !slices.Equal(pointers, []string{"/types/0"}) {
		t.Errorf("tests can be asked for: %v", err)
	}
}

func TestAnswersOfTheStoreAreInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want jobs.Code
	}{
		{delivery.ErrTooMany, jobs.CodeConflict},
		{delivery.ErrSecretKeyMissing, jobs.CodeSecretKeyMissing},
		{jobs.Unavailable(errors.New("away")), jobs.CodeStoreUnavailable},
	} {
		r := newRig(t)
		r.err = c.err
		_, _, err := r.service.Create(t.Context(), "acme", delivery.Change{URL: new("https://example.com/")}, "")
		if of, _ := code(err); of != c.want || r.changes != 0 {
			t.Errorf("%v: got %v, told %d times", c.err, err, r.changes)
		}
	}
}
