package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/penstock-dev/penstock/webhooks"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Keys of an endpoint whose secret is being rotated, and of nobody.
const (
	oldSecret   = "whsec_b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQg"
	wrongSecret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	privateKey  = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)

// officialID is the id in the bodies.
const officialID = "evt_01920000-0000-7000-8000-000000000001"

// official is a request as it arrived, and what an official verifier must say to it.
type official struct {
	name   string
	secret string
	header http.Header
	body   []byte
	valid  bool
}

// officials returns requests that a server got from a sender.
func officials(t *testing.T) []official {
	t.Helper()
	job := delivery.Job{
		ID: uuid.MustParse("01920000-0000-7000-8000-000000000002"), Object: "job", Status: "succeeded",
		Metadata: map[string]string{"of": "Zoë & Søn <a.b>\u2028", "n": "¿1?"},
	}
	event, err := json.Marshal(delivery.NewEnvelope(uuid.MustParse(officialID[len("evt_"):]), delivery.JobSucceeded, time.Now(), job))
	if err != nil {
		t.Fatal(err)
	}
	large := bytes.Replace(event, []byte(`¿1?`), bytes.Repeat([]byte("¿1?"), 50_000), 1)
	openAI, err := json.Marshal(delivery.NewEnvelope(
		uuid.MustParse(officialID[len("evt_"):]), delivery.ResponseCompleted, time.Now(), delivery.NewResponse(job.ID)))
	if err != nil {
		t.Fatal(err)
	}

	var found []official
	for _, c := range []struct {
		name, secret string
		body         []byte
		keys         []string
	}{
		{"an event", secret, event, []string{secret}},
		{"a large event", secret, large, []string{secret}},
		{"an event in OpenAI's shape", secret, openAI, []string{secret}},
		{"indented", secret, []byte("{\r\n\t\"id\": \"" + officialID + "\"\n}\n"), []string{secret}},
		{"rotated, by the new secret", secret, event, []string{secret, oldSecret}},
		{"rotated, by the old secret", oldSecret, event, []string{secret, oldSecret}},
		{"v1a before v1", secret, event, []string{privateKey, secret}},
		{"v1 before v1a", secret, event, []string{secret, privateKey}},
	} {
		header, body := arrived(t, c.body, keysOf(t, c.keys...))
		found = append(found, official{c.name, c.secret, header, body, true})
		found = append(found, official{c.name + ", with another's secret", wrongSecret, header, body, false})
	}
	header, body := arrived(t, event, keysOf(t, secret))
	found = append(found, official{"a changed body", secret, header, append(body, ' '), false})
	header, body = arrived(t, event, keysOf(t, privateKey))
	return append(found, official{"v1a alone", secret, header, body, false})
}

// arrived sends a body and returns what a server got.
func arrived(t *testing.T, sent []byte, keys []webhooks.Key) (header http.Header, body []byte) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	a := delivery.NewSender(http.DefaultTransport, "test").Send(t.Context(), delivery.Message{
		ID: "01920000-0000-7000-8000-000000000003", URL: server.URL, Body: sent, Keys: keys, Timeout: time.Minute,
	})
	if a.Verdict != delivery.Delivered {
		t.Fatalf("got %+v, want it delivered", a)
	}
	return header, body
}

func keysOf(t *testing.T, texts ...string) []webhooks.Key {
	t.Helper()
	keys := make([]webhooks.Key, 0, len(texts))
	for _, text := range texts {
		key, err := webhooks.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

func TestTheOfficialGoVerifierTakesOurs(t *testing.T) {
	t.Parallel()
	for _, o := range officials(t) {
		verifier, err := standardwebhooks.NewWebhook(o.secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(o.body, o.header); (err == nil) != o.valid {
			t.Errorf("%s: got %v, want valid %t", o.name, err, o.valid)
		}
	}
}

// That of OpenAI's library is written by the same standard.
func TestTheOfficialJavaScriptVerifiersTakeOurs(t *testing.T) {
	t.Parallel()
	all := officials(t)
	for _, verifier := range []string{"standardwebhooks", "openai"} {
		t.Run(verifier, func(t *testing.T) {
			t.Parallel()
			for i, said := range javaScript(t, verifier, all) {
				if valid := said.ID == officialID && said.Error == ""; valid != all[i].valid {
					t.Errorf("%s: got %+v, want valid %t", all[i].name, said, all[i].valid)
				}
				if !all[i].valid && !strings.Contains(strings.ToLower(said.Error), "signature") {
					t.Errorf("%s: got %+v, want word of the signature", all[i].name, said)
				}
			}
		})
	}
}

// verdict is what a verifier in JavaScript said.
type verdict struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

// javaScript asks a verifier about requests.
func javaScript(t *testing.T, verifier string, all []official) []verdict {
	t.Helper()
	type request struct {
		Verifier string            `json:"verifier"`
		Secret   string            `json:"secret"`
		Headers  map[string]string `json:"headers"`
		Body     []byte            `json:"body"`
	}
	asked := make([]request, 0, len(all))
	for _, o := range all {
		r := request{Verifier: verifier, Secret: o.secret, Headers: map[string]string{}, Body: o.body}
		for name := range o.header {
			r.Headers[strings.ToLower(name)] = o.header.Get(name)
		}
		asked = append(asked, r)
	}
	input, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "testdata/javascript/verify.mjs")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v: %s\nIf Node or its packages are missing, `scripts/with-languages.sh` installs them.", err, &stderr)
	}
	var said []verdict
	if err := json.Unmarshal(output, &said); err != nil || len(said) != len(all) {
		t.Fatalf("got %s, error %v; want %d answers", output, err, len(all))
	}
	return said
}
