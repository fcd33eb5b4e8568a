package keyring

import (
	"maps"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

const (
	// firstAside is how long a key is put aside at first; each time again twice
	// as long, at most mostAside, until it is taken.
	firstAside = time.Minute
	mostAside  = 4 * time.Hour
	// maxAsides bounds the models remembered of a key: callers make up names.
	maxAsides = 64
	// shortest is the length of what is taken for a key in what a server says.
	shortest = 6
)

// forever is later than any other time.
var forever = time.Unix(1<<50, 0)

// key is a key and what is known of it. The ring's lock guards it.
type key struct {
	name   string
	value  string
	former string // of a file that was changed: servers may still quote it
	file   *file  // nil: the value never changes
	// asides says for which models the key was refused; "" is for all. Quota and
	// permission may be a model's own, so they are learned model by model.
	asides map[string]aside
}

// aside is why and until when a key is not used.
type aside struct {
	class   providers.Class
	until   time.Time
	refused time.Time // the last time
	pause   time.Duration
}

func newKey(c Key, o *Observer) (*key, error) {
	k := &key{name: c.Name, value: string(c.Value)}
	if c.File == "" {
		return k, checkValue(k.value)
	}
	k.file = &file{path: c.File}
	value, err := k.file.read()
	if err != nil {
		return nil, err
	}
	k.value = value
	if problem := k.file.exposed(); problem != nil {
		o.File(k.name, problem)
	}
	return k, nil
}

// aside returns what keeps the key from being used for a model longest; zero
// if nothing was ever in the way.
func (k *key) aside(model string) aside {
	all, one := k.asides[""], k.asides[model]
	if all.until.After(one.until) {
		return all
	}
	return one
}

// refused notes that the provider did not take the key. It returns false if it
// was aside already, by another call.
func (k *key) refused(failure *providers.Error, model string, now time.Time) bool {
	if failure.Class == providers.Authentication {
		model = ""
	}
	a := k.asides[model]
	known := a.until.After(now)
	a.class, a.refused = failure.Class, now
	switch {
	case failure.Class == providers.Authentication:
		a.until = forever
	case !known:
		a.pause = min(max(2*a.pause, firstAside), mostAside)
		a.until = now.Add(max(a.pause, failure.RetryAfter))
	}
	return k.remember(model, a, now) && !known
}

// remember keeps what is known of a model, if there is room for it.
func (k *key) remember(model string, a aside, now time.Time) bool {
	if _, known := k.asides[model]; !known && len(k.asides) >= maxAsides {
		maps.DeleteFunc(k.asides, func(_ string, old aside) bool { return !old.until.After(now) })
		if model != "" && len(k.asides) >= maxAsides {
			return false
		}
	}
	if k.asides == nil {
		k.asides = make(map[string]aside)
	}
	k.asides[model] = a
	return true
}

// taken notes that the provider took the key in a call that began at a time.
// It returns whether the key had been put aside before.
func (k *key) taken(model string, began time.Time) bool {
	restored := false
	for _, name := range []string{"", model} {
		a, was := k.asides[name]
		if was && !began.Before(a.refused) {
			delete(k.asides, name)
			restored = true
		}
	}
	return restored
}

// change gives the key another value, of which nothing bad is known.
func (k *key) change(value string) { k.former, k.value, k.asides = k.value, value, nil }

func (k *key) scrub(s string) string {
	for _, secret := range []string{k.value, k.former} {
		if len(secret) >= shortest {
			s = strings.ReplaceAll(s, secret, providers.Secret(secret).String())
		}
	}
	return s
}
