package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/penstock-dev/penstock/webhooks"
)

// maxBody bounds a body, in bytes. An event with its result has at most some 300 KB.
const maxBody = 1 << 20

// receiver takes events over HTTP. What it answers tells the sender what to do: 2xx,
// and the event is delivered; 413, and it comes again without the result; anything
// else, and it comes again as it is.
type receiver struct {
	keys []webhooks.Key
	seen *recent
	out  io.Writer
}

func newReceiver(keys []webhooks.Key, remember int, out io.Writer) *receiver {
	return &receiver{keys: keys, seen: newRecent(remember), out: out}
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "events are posted", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, err)
		return
	}
	// The signature is over the bytes as they came: verify before anything is parsed.
	if err := webhooks.Verify(r.Header, body, time.Now(), rc.keys...); err != nil {
		refuse(w, err)
		return
	}
	e, err := parseEvent(body)
	if err != nil {
		refuse(w, err)
		return
	}
	// Events come at least once, always with the same id. An application keeps ids in
	// its database, and this one in the transaction of what it does with the event; what
	// takes longer than a few seconds it does after the answer.
	id := r.Header.Get(webhooks.HeaderID)
	if err := rc.seen.once(id, func() error { return rc.handle(id, e) }); err != nil {
		http.Error(w, "not handled", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// handle does what there is to do for an event.
func (rc *receiver) handle(id string, e event) error {
	_, err := fmt.Fprintln(rc.out, id, e.Type, cmp.Or(e.Data.ID, "-"), cmp.Or(e.Data.Status, "-"))
	return err
}

// event is what the receiver reads of a body.
type event struct {
	Type string `json:"type"`
	Data struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	} `json:"data"`
}

var errNoEvent = errors.New("not an event")

func parseEvent(body []byte) (event, error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" {
		return event{}, errNoEvent
	}
	return e, nil
}

// refuse says in a word what is wrong. The sender keeps it in its log of attempts.
func refuse(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
	case errors.Is(err, webhooks.ErrTimestamp):
		http.Error(w, "stale timestamp", http.StatusUnauthorized)
	case errors.Is(err, webhooks.ErrSignature):
		http.Error(w, "wrong signature", http.StatusUnauthorized)
	case errors.Is(err, webhooks.ErrMalformed):
		http.Error(w, "malformed headers", http.StatusBadRequest)
	case errors.Is(err, errNoEvent):
		http.Error(w, "not an event", http.StatusBadRequest)
	default:
		http.Error(w, "body not read", http.StatusBadRequest)
	}
}
