package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/webhooks"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Keys of tests. An endpoint's secret is being rotated from old to current.
const (
	current  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	old      = "whsec_b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQg"
	stranger = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

	private = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	public  = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
)

// strangerPrivate is the private key of a seed of zeros.
var strangerPrivate = "whsk_" + base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))

// success is an event as receivers get it; its line is printed by all of them.
const success = `{"id":"evt_1","object":"event","type":"job.succeeded","created_at":"2026-01-02T03:04:05Z",` +
	`"data":{"id":"019b7d1e-0000-7000-8000-000000000001","object":"job","status":"succeeded","metadata":{"cité":"¿a.b?"}}}`

const successLine = "job.succeeded 019b7d1e-0000-7000-8000-000000000001 succeeded"

// request is what a receiver gets and what it must say to it.
type request struct {
	id     string
	body   string // empty: success
	keys   []string
	age    time.Duration         // how long ago it was signed
	change func(r *http.Request) // what happens to it on the way
	status int                   // what is answered
	word   string                // and with which word
	line   string                // what is printed after the id
	v1a    bool                  // only for those that verify v1a
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func replaceBody(body string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
}

// requests come in this order.
var requests = []request{
	{id: "good", keys: []string{current}, status: 204, line: successLine},
	{id: "good", keys: []string{current}, status: 204}, // a repeat
	{id: "good", keys: []string{current}, age: time.Minute, status: 204},
	{id: "old", keys: []string{old}, status: 204, line: successLine},
	{id: "both", keys: []string{current, old}, status: 204, line: successLine},
	{id: "of_two", keys: []string{stranger, current}, status: 204, line: successLine},
	{id: "after_new_version", keys: []string{current}, status: 204, line: successLine, change: func(r *http.Request) {
		r.Header.Set("webhook-signature", "v2,AAAA v1 , "+r.Header.Get("webhook-signature"))
	}},
	{id: "late", keys: []string{current}, age: 290 * time.Second, status: 204, line: successLine},
	{id: "early", keys: []string{current}, age: -290 * time.Second, status: 204, line: successLine},
	{id: "v1a", keys: []string{private}, status: 204, line: successLine, v1a: true},
	{id: "v1a_beside", keys: []string{private, current}, status: 204, line: successLine},
	{id: "lane", keys: []string{current}, body: `{"type":"lane.opened","data":{}}`, status: 204, line: "lane.opened - -"},
	{id: "percent_%s_%d", keys: []string{current}, status: 204, line: successLine},

	{id: "stranger", keys: []string{stranger}, status: 401, word: "wrong signature"},
	{id: "v1a_stranger", keys: []string{strangerPrivate}, status: 401, word: "wrong signature"},
	{id: "changed", keys: []string{current}, status: 401, word: "wrong signature", change: replaceBody(success + " ")},
	{id: "other", keys: []string{current}, status: 401, word: "wrong signature", change: set("webhook-id", "forged")},
	{id: "stamp", keys: []string{current}, age: time.Minute, status: 401, word: "wrong signature", change: func(r *http.Request) {
		r.Header.Set("webhook-timestamp", fmt.Sprint(time.Now().Unix()))
	}},
	{id: "cut", keys: []string{current}, status: 401, word: "wrong signature", change: func(r *http.Request) {
		r.Header.Set("webhook-signature", r.Header.Get("webhook-signature")[:10])
	}},
	{id: "v1_as_v1a", keys: []string{current}, status: 401, word: "wrong signature", change: func(r *http.Request) {
		r.Header.Set("webhook-signature", strings.Replace(r.Header.Get("webhook-signature"), "v1,", "v1a,", 1))
	}},
	{id: "no_base64", keys: []string{current}, status: 401, word: "wrong signature", change: set("webhook-signature", "v1,%%% v1 v1a,é")},
	{id: "empty", keys: []string{current}, status: 401, word: "wrong signature", change: set("webhook-signature", "v1,")},
	{id: "past", keys: []string{current}, age: 310 * time.Second, status: 401, word: "stale timestamp"},
	{id: "future", keys: []string{current}, age: -310 * time.Second, status: 401, word: "stale timestamp"},

	{id: "no_id", keys: []string{current}, status: 400, word: "malformed headers", change: set("webhook-id", "")},
	{id: "dot", keys: []string{current}, status: 400, word: "malformed headers", change: set("webhook-id", "dot.1")},
	{id: "no_time", keys: []string{current}, status: 400, word: "malformed headers", change: set("webhook-timestamp", "")},
	{id: "words", keys: []string{current}, status: 400, word: "malformed headers", change: set("webhook-timestamp", "now")},
	{id: "digits", keys: []string{current}, status: 400, word: "malformed headers", change: set("webhook-timestamp", "161426533\xb2")},
	{id: "negative", keys: []string{current}, status: 400, word: "malformed headers", change: set("webhook-timestamp", "-1")},
	{id: "no_signature", keys: []string{current}, status: 400, word: "malformed headers", change: func(r *http.Request) {
		r.Header.Del("webhook-signature")
	}},
	{id: "17", keys: []string{current}, status: 400, word: "malformed headers", change: func(r *http.Request) {
		r.Header.Set("webhook-signature", strings.Repeat(r.Header.Get("webhook-signature")+" ", 17))
	}},
	{id: "none", keys: []string{current}, status: 400, word: "malformed headers", change: func(r *http.Request) {
		r.Header = http.Header{}
	}},

	{id: "text", keys: []string{current}, body: "hello", status: 400, word: "not an event"},
	{id: "list", keys: []string{current}, body: "[]", status: 400, word: "not an event"},
	{id: "null", keys: []string{current}, body: "null", status: 400, word: "not an event"},
	{id: "bytes", keys: []string{current}, body: "\xff\xfe", status: 400, word: "not an event"},
	{id: "half", keys: []string{current}, body: success[:100], status: 400, word: "not an event"},
	{id: "half", keys: []string{current}, status: 204, line: successLine}, // what was refused is no repeat
	{id: "full", keys: []string{current}, body: padded(maxBody), status: 204, line: "big - -"},
	{id: "large", keys: []string{current}, body: padded(maxBody + 1), status: 413, word: "body too large"},
	{id: "huge", keys: []string{current}, body: padded(8 * maxBody), status: 413, word: "body too large"},
	{id: "large", keys: []string{current}, status: 204, line: successLine}, // the thin body, after 413
	{id: "get", keys: []string{current}, status: 405, word: "events are posted", change: func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
	}},
}

// padded returns an event of so many bytes.
func padded(size int) string {
	const event = `{"type":"big"}`
	return event + strings.Repeat(" ", size-len(event))
}

// One and the same table for all: what one of them takes, the others take.
func TestReceivers(t *testing.T) {
	t.Parallel()
	for _, l := range languages(t) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			secrets := current + " " + old
			if l.ed25519 {
				secrets += " " + public
			}
			p := l.start(t, secrets)
			var want []string
			for _, c := range requests {
				if c.v1a && !l.ed25519 {
					continue
				}
				c.check(t, p.url)
				if c.line != "" {
					want = append(want, c.id+" "+c.line)
				}
			}
			if got := p.stop(t); !slices.Equal(got, want) {
				t.Errorf("printed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// check sends the request and looks at the answer.
func (c request) check(t *testing.T, url string) {
	t.Helper()
	r := c.sign(t, url)
	if c.change != nil {
		c.change(r)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", c.id, err)
	}
	defer answer.Body.Close()
	word, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != c.status || strings.TrimSpace(string(word)) != c.word {
		t.Errorf("%s: answered %d %q, error %v; want %d %q", c.id, answer.StatusCode, word, err, c.status, c.word)
	}
}

func (c request) sign(t *testing.T, url string) *http.Request {
	t.Helper()
	if c.body == "" {
		c.body = success
	}
	header, err := webhooks.Sign(c.id, time.Now().Add(-c.age), []byte(c.body), keys(t, c.keys...)...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	return r
}

var client = &http.Client{Timeout: patience}

func keys(t *testing.T, texts ...string) []webhooks.Key {
	t.Helper()
	found := make([]webhooks.Key, 0, len(texts))
	for _, text := range texts {
		key, err := webhooks.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, key)
	}
	return found
}

// What Penstock's own sender makes of a receiver's answers.
func TestReceiversSpeakWithTheSender(t *testing.T) {
	t.Parallel()
	for _, l := range languages(t) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			p := l.start(t, current)
			sender := delivery.NewSender(http.DefaultTransport, "test")
			m := delivery.Message{ID: "1", URL: p.url, Body: []byte(success), Keys: keys(t, current), Timeout: patience}
			if a := sender.Send(t.Context(), m); a.Verdict != delivery.Delivered {
				t.Errorf("got %+v, want it delivered", a)
			}
			m.ID, m.Body = "2", bytes.Repeat([]byte(" "), 4*maxBody)
			if a := sender.Send(t.Context(), m); a.Verdict != delivery.TooLarge {
				t.Errorf("got %+v, want word that it is too large", a)
			}
			m.ID, m.Body, m.Keys = "3", []byte(success), keys(t, stranger)
			if a := sender.Send(t.Context(), m); a.Verdict != delivery.Failed || string(a.Answer) != "wrong signature\n" {
				t.Errorf("got %+v, want it refused", a)
			}
		})
	}
}

// A sender that writes all before it reads gets the answer too: what closes a connection
// with a body unread in it may take the answer along. Go's own server sees to that.
func TestReceiversReadWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	for _, l := range languages(t)[1:] {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.Trim(l.start(t, current).url, "htp:/"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			r := request{id: "large", keys: []string{current}, body: padded(14 * maxBody)}.sign(t, "http://receiver/")
			if err := r.Write(conn); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("got %s, want 413", answer.Status)
			}
		})
	}
}

func TestReceiversForgetTheOldestIDs(t *testing.T) {
	t.Parallel()
	for _, l := range languages(t) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			p := l.start(t, current, "--remember", "2")
			for _, id := range []string{"a", "b", "a", "c", "b", "c", "a"} {
				request{id: id, keys: []string{current}, status: 204}.check(t, p.url)
			}
			want := []string{"a " + successLine, "b " + successLine, "c " + successLine, "a " + successLine}
			if got := p.stop(t); !slices.Equal(got, want) {
				t.Errorf("printed %q, want %q", got, want)
			}
		})
	}
}

// A receiver that cannot verify does not start, and says why without the secret.
func TestReceiversNeedKeys(t *testing.T) {
	t.Parallel()
	for _, l := range languages(t) {
		secrets := []string{
			"", "secret", "whsec_AAAA", "whsec_!" + current[7:], current + " " + old + "=", "whsk_" + public[5:], private, "whpk_AAAA",
		}
		if !l.ed25519 {
			secrets = append(secrets, public)
		}
		for _, s := range secrets {
			t.Run(l.name+" "+s, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				out, err := l.command(ctx, s).CombinedOutput()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != exitConfiguration {
					t.Errorf("ended with %v, want code %d: %s", err, exitConfiguration, out)
				}
				if len(s) > 20 && bytes.Contains(out, []byte(s[10:20])) || bytes.Count(out, []byte("\n")) != 1 {
					t.Errorf("said %s", out)
				}
			})
		}
	}
}
