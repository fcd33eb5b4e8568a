package transport_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/transport"
	"github.com/penstock-dev/penstock/providers/keyring"
	"github.com/penstock-dev/penstock/providers/providertest"
)

// door lets in who has the good key. The others get the refusal and are
// counted.
type door struct {
	good    string
	refusal http.Handler
	knocks  atomic.Int32
}

func (d *door) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("X-Key") == d.good {
		_, _ = io.WriteString(w, "answer")
		return
	}
	d.knocks.Add(1)
	d.refusal.ServeHTTP(w, req)
}

func newClient(t *testing.T, server http.Handler, keys ...providers.Secret) *transport.Client {
	t.Helper()
	var config keyring.Config
	for _, value := range keys {
		config.Keys = append(config.Keys, keyring.Key{Name: "a key", Value: value})
	}
	ring, err := keyring.New(config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := transport.New(transport.Config{
		BaseURL: "http://memory", KeyHeader: "X-Key", Keys: ring, DialContext: providertest.Dial(t, server),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// exchange is a call in a format of plain words.
func exchange() *transport.Exchange {
	return &transport.Exchange{
		Model: "m", Path: "/x", Timeouts: providers.Timeouts{FirstToken: 10 * time.Second, Total: time.Minute},
		Refused: func(status int, body []byte) *providers.Error {
			return &providers.Error{Class: transport.ClassOfStatus(status), Message: "refused", Detail: string(body)}
		},
		Whole: func(body []byte) (transport.Answer, error) { return transport.Answer{Body: body}, nil },
	}
}

func TestARefusedKeyCostsNoCall(t *testing.T) {
	t.Parallel()
	for status, class := range map[int]providers.Class{401: "authentication", 402: "quota_exhausted", 403: "permission"} {
		synctest.Test(t, func(t *testing.T) {
			d := &door{good: "key-three", refusal: providertest.Reply{
				Status: status, Pieces: []providertest.Piece{{After: 7 * time.Second, Text: "no"}},
			}}
			client := newClient(t, d, "key-one", "key-two", "key-three")
			for range 2 {
				got, err := client.Call(t.Context(), exchange(), nil)
				if err != nil || string(got.Body) != "answer" {
					t.Errorf("%d: got %q, %v", status, got.Body, err)
				}
			}
			if got := d.knocks.Load(); got != 2 {
				t.Errorf("%d: %d requests were refused, want one for each bad key", status, got)
			}
			d.good = "another"
			_, err := client.Call(t.Context(), exchange(), nil)
			failure, ok := errors.AsType[*providers.Error](err)
			if !ok || failure.Class != class || failure.HTTPStatus != status || !strings.Contains(failure.Message, "none of 3 keys") {
				t.Errorf("%d: got %v", status, err)
			}
		})
	}
}

// The bounds of a call are those of all its requests together.
func TestKeysShareTheTimeOfTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &door{refusal: providertest.Reply{Status: 401, Pieces: []providertest.Piece{{After: 4 * time.Second, Text: "no"}}}}
		x := exchange()
		x.Timeouts.Total = 10 * time.Second
		began := time.Now()
		_, err := newClient(t, d, "key-one", "key-two", "key-three", "key-four").Call(t.Context(), x, nil)
		if got := providers.ClassOf(err); got != providers.TimeoutTotal || time.Since(began) != 10*time.Second {
			t.Errorf("got %v after %s, want timeout_total after 10s", err, time.Since(began))
		}
	})
}

// Once something was told, or the model has begun, the call is what it is.
func TestNothingIsAskedForTwice(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tells, substance bool
		requests         int32
	}{
		"nothing came": {false, false, 2}, "something was told": {true, false, 1}, "a token came": {true, true, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &door{good: "none", refusal: providertest.Reply{
				Header: map[string]string{"Content-Type": "text/event-stream"}, Pieces: []providertest.Piece{{Text: "data: x\n\n"}},
			}}
			x := exchange()
			x.Stream = func(events *transport.Events, tell transport.Tell) (transport.Answer, error) {
				event, err := events.Next()
				if err != nil {
					return transport.Answer{}, err
				}
				if c.tells {
					tell(event.Data, c.substance)
				}
				return transport.Answer{}, &providers.Error{Class: providers.QuotaExhausted}
			}
			listener := func(providers.Chunk) {}
			if c.substance {
				listener = nil // a token is spent, whoever listens
			}
			_, err := newClient(t, d, "key-one", "key-two").Call(t.Context(), x, listener)
			if got := d.knocks.Load(); got != c.requests || providers.ClassOf(err) != providers.QuotaExhausted {
				t.Errorf("%s: %d requests, error %v, want %d", name, got, err, c.requests)
			}
		})
	}
}

func TestKeysAreNotInWhatServersSay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &door{refusal: providertest.Reply{Status: 401, Pieces: []providertest.Piece{{Text: "no such key: key-two, key-one"}}}}
		_, err := newClient(t, d, "key-one", "key-two").Call(t.Context(), exchange(), nil)
		failure, ok := errors.AsType[*providers.Error](err)
		if !ok || failure.Detail != "no such key: [secret], [secret]" {
			t.Errorf("got %v", err)
		}
	})
}
