package keyring_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/keyring"
)

// rig is a ring and what its observer was told.
type rig struct {
	*keyring.Ring
	t    *testing.T
	told []string
}

func newRig(t *testing.T, keys ...keyring.Key) *rig {
	t.Helper()
	r := &rig{t: t}
	ring, err := keyring.New(keyring.Config{Keys: keys, Observer: keyring.Observer{
		SetAside: func(name string, class providers.Class, model string, until time.Time) {
			wait := "for ever"
			if !until.IsZero() {
				wait = time.Until(until).String()
			}
			r.told = append(r.told, strings.Join([]string{name, string(class), model, wait}, " "))
		},
		Restored: func(name, model string) { r.told = append(r.told, name+" restored for "+model) },
		File:     func(name string, problem error) { r.told = append(r.told, name+": "+problem.Error()) },
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.Ring = ring
	return r
}

// three is a ring of the keys key-a, key-b and key-c.
func three(t *testing.T) *rig {
	t.Helper()
	return newRig(t, keyring.Key{Name: "a", Value: "key-a"}, keyring.Key{Name: "b", Value: "key-b"},
		keyring.Key{Name: "c", Value: "key-c"})
}

// call makes a call to a model whose provider refuses keys for the classes
// given. It returns the keys used and the failure's message; empty: it worked.
func (r *rig) call(model string, refused map[string]providers.Class) (used, message string) {
	r.t.Helper()
	turn := r.Turn(model)
	var keys []string
	for len(keys) < 100 {
		keys = append(keys, turn.Key())
		class, bad := refused[turn.Key()]
		if !bad {
			turn.Taken()
			return strings.Join(keys, " "), ""
		}
		failure := &providers.Error{Class: class, Message: "refused"}
		if !turn.Refused(failure) {
			return strings.Join(keys, " "), failure.Message
		}
	}
	r.t.Fatal("a call goes on for ever")
	return "", ""
}

func (r *rig) wantCall(model string, refused map[string]providers.Class, keys, message string) {
	r.t.Helper()
	if used, got := r.call(model, refused); used != keys || got != message {
		r.t.Errorf("got keys %q, message %q, want %q, %q", used, got, keys, message)
	}
}

func (r *rig) wantTold(want ...string) {
	r.t.Helper()
	if !slices.Equal(r.told, want) {
		r.t.Errorf("the observer was told\n%q, want\n%q", r.told, want)
	}
	r.told = nil
}

// refusing says which keys are refused, all for one reason.
func refusing(class providers.Class, keys ...string) map[string]providers.Class {
	refused := map[string]providers.Class{}
	for _, k := range keys {
		refused[k] = class
	}
	return refused
}

func TestTheFirstKeyIsUsedUntilItIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := three(t)
		r.wantCall("m", nil, "key-a", "")
		r.wantCall("m", refusing(providers.Authentication, "key-a"), "key-a key-b", "")
		r.wantTold("a authentication  for ever")
		r.wantCall("m", nil, "key-b", "")
		time.Sleep(1000 * time.Hour)
		r.wantCall("other", nil, "key-b", "")
		r.wantTold()
	})
}

func TestOtherFailuresAreNotTheKeys(t *testing.T) {
	t.Parallel()
	for _, class := range []providers.Class{
		providers.RateLimited, providers.Overloaded, providers.ServerError, providers.Connection, providers.BadRequest,
		providers.NotFound, providers.Cancelled, providers.TimeoutTotal, providers.ContextLength, providers.ContentFiltered,
	} {
		r := three(t)
		r.wantCall("m", refusing(class, "key-a"), "key-a", "refused")
		r.wantCall("m", nil, "key-a", "")
		r.wantTold()
	}
}

func TestAKeyWithoutQuotaRestsForLongerAndLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := three(t)
		broke := refusing(providers.QuotaExhausted, "key-a")
		for _, rest := range []time.Duration{
			time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute,
			64 * time.Minute, 128 * time.Minute, 4 * time.Hour, 4 * time.Hour,
		} {
			r.wantCall("m", broke, "key-a key-b", "")
			r.wantTold("a quota_exhausted m " + rest.String())
			time.Sleep(rest - 1)
			r.wantCall("m", nil, "key-b", "")
			time.Sleep(time.Nanosecond)
		}
		r.wantCall("m", nil, "key-a", "")
		r.wantTold("a restored for m")
		r.wantCall("m", broke, "key-a key-b", "")
		r.wantTold("a quota_exhausted m 1m0s")
	})
}

func TestAHintThatIsLongerCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := three(t)
		r.Turn("m").Refused(&providers.Error{Class: providers.QuotaExhausted, RetryAfter: 5 * time.Hour})
		r.wantTold("a quota_exhausted m 5h0m0s")
	})
}

// What a key may not do with one model it may do with another.
func TestQuotaAndPermissionAreOfAModel(t *testing.T) {
	t.Parallel()
	for _, class := range []providers.Class{providers.QuotaExhausted, providers.Permission} {
		r := three(t)
		r.wantCall("m", refusing(class, "key-a"), "key-a key-b", "")
		r.wantCall("m", nil, "key-b", "")
		r.wantCall("other", nil, "key-a", "")
	}
}

// Models are names that callers make up: they cannot fill the memory, and a
// call that finds it full is served all the same.
func TestModelsRememberedAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := three(t)
		forbidden := refusing(providers.Permission, "key-a")
		for i := range 200 {
			r.wantCall(fmt.Sprint("model-", i), forbidden, "key-a key-b", "")
		}
		if len(r.told) != 64 {
			t.Errorf("%d models are remembered, want 64", len(r.told))
		}
		r.told = nil
		r.wantCall("model-199", forbidden, "key-a key-b", "")
		r.wantCall("model-199", refusing(providers.Authentication, "key-a"), "key-a key-b", "")
		r.wantTold("a authentication  for ever")
	})
}

func TestWhenNoKeyIsGoodTheFailureSaysWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := three(t)
		refused := map[string]providers.Class{
			"key-a": providers.QuotaExhausted, "key-b": providers.Authentication, "key-c": providers.Authentication,
		}
		const message = "refused; none of 3 keys is good: 2 not accepted, 1 without quota"
		r.wantCall("m", refused, "key-a key-b key-c", message)
		r.told = nil
		// The one whose time comes first is tried: a provider may have changed its mind.
		r.wantCall("m", refused, "key-a", message)
		r.wantTold()
		r.wantCall("m", nil, "key-a", "")
		r.wantTold("a restored for m")
	})
}

// Keys that wait for ever take turns: whichever the provider takes again is
// found without a reload.
func TestRefusedKeysTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := three(t)
		refused := refusing(providers.Authentication, "key-a", "key-b", "key-c")
		const message = "refused; none of 3 keys is good: 3 not accepted"
		r.wantCall("m", refused, "key-a key-b key-c", message)
		r.told = nil
		for _, key := range []string{"key-a", "key-b", "key-c", "key-a"} {
			time.Sleep(time.Second)
			r.wantCall("m", refused, key, message)
		}
		r.wantTold()
		delete(refused, "key-b")
		r.wantCall("m", refused, "key-b", "")
		r.wantTold("b restored for m")
		r.wantCall("m", refused, "key-b", "")
	})
}

func TestASingleKeyIsAlwaysUsed(t *testing.T) {
	t.Parallel()
	r := newRig(t, keyring.Key{Name: "a", Value: "key-a"})
	refused := refusing(providers.Authentication, "key-a")
	r.wantCall("m", refused, "key-a", "refused")
	r.wantCall("m", refused, "key-a", "refused")
	r.wantTold("a authentication  for ever")
	r.wantCall("m", nil, "key-a", "")
	r.wantTold("a restored for m")
}

func TestNoKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.wantCall("m", refusing(providers.Authentication, ""), "", "refused")
	r.wantTold()
	if got := r.String(); got != "keyring of 0" {
		t.Errorf("got %q", got)
	}
}

// Calls that overlap the refusal of their key say nothing about it: one that
// was refused with it is no second refusal, and one that was taken before it no
// restoration.
func TestCallsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := three(t)
		long, twin := r.Turn("m"), r.Turn("m")
		time.Sleep(time.Second)
		r.wantCall("m", refusing(providers.QuotaExhausted, "key-a"), "key-a key-b", "")
		if !twin.Refused(&providers.Error{Class: providers.QuotaExhausted}) || twin.Key() != "key-b" {
			t.Errorf("the other call goes on with %q", twin.Key())
		}
		r.wantTold("a quota_exhausted m 1m0s")
		long.Taken()
		r.wantTold()
		r.wantCall("m", nil, "key-b", "")
	})
}

func TestWrongKeysAreNamedAndNotQuoted(t *testing.T) {
	t.Parallel()
	many := make([]keyring.Key, keyring.MaxKeys+1)
	for want, keys := range map[string][]keyring.Key{
		"b: is empty":                      {{Name: "a", Value: "hunter2"}, {Name: "b"}},
		"b: contains a character":          {{Name: "b", Value: "hunter2\n"}},
		"expected at most 16 keys, got 17": many,
	} {
		_, err := keyring.New(keyring.Config{Keys: keys})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want %q", err, want)
		}
		if e, ok := errors.AsType[*keyring.KeyError](err); ok && e.Name != "b" {
			t.Errorf("got key %q, want b", e.Name)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	r := newRig(t, keyring.Key{Name: "a", Value: "hunter2hunter2"}).Ring
	holder := struct{ ring *keyring.Ring }{r}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{r, holder, &holder, keyring.Key{Value: "hunter2hunter2"}} {
			printed := fmt.Sprintf(verb, value)
			if strings.Contains(printed, "hunter2") || strings.Contains(printed, "68756e746572") {
				t.Errorf("%s shows a key: %s", verb, printed)
			}
		}
	}
	if got := r.Scrub("no key hunter2hunter2 here"); got != "no key [secret] here" {
		t.Errorf("got %q", got)
	}
}
