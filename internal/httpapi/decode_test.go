package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/canonical"
)

func TestDecodeJob(t *testing.T) {
	t.Parallel()
	const request = `{"model":"m","x":[1, 2]}`
	for name, c := range map[string]struct {
		fields string
		want   jobs.NewJob
	}{
		"nothing else": {``, jobs.NewJob{}},
		"everything": {
			`,"endpoint":"/v1/embeddings","priority":"high","timeout":"1h30m","dedupe":false,
			"cache":{"max_age":"90s","no_store":true},"sample":3,"metadata":{"a":"1","b":""},"user":"u"`,
			jobs.NewJob{
				Endpoint: "/v1/embeddings", Priority: jobs.PriorityHigh, Timeout: 90 * time.Minute, NoDedupe: true,
				MaxAge: 90 * time.Second, NoStore: true, Sample: 3, Metadata: map[string]string{"a": "1", "b": ""}, User: "u",
			},
		},
		"a webhook":                {`,"webhook":{"url":"https://example.com/"}`, jobs.NewJob{Webhook: "https://example.com/"}},
		"deadline":                 {`,"deadline":"2030-01-31T13:00:00+01:00"`, jobs.NewJob{Deadline: noon}},
		"dedupe said":              {`,"dedupe":true,"priority":"normal"`, jobs.NewJob{}},
		"a whole number, oddly":    {`,"sample":2.0e0`, jobs.NewJob{Sample: 2}},
		"fail":                     {`,"on_unavailable":"fail"`, jobs.NewJob{OnUnavailable: new(jobs.OnUnavailableFail)}},
		"wait, whatever the route": {`,"on_unavailable":"wait"`, jobs.NewJob{OnUnavailable: new(jobs.OnUnavailableWait)}},
		"what it is for":           {`,"use_case":"chat"`, jobs.NewJob{UseCase: "chat"}},
		"not to be kept":           {`,"store":false`, jobs.NewJob{Ephemeral: true}},
		"to be kept":               {`,"store":true`, jobs.NewJob{}},
		"stale if error":           {`,"cache":{"stale_if_error":"1h"}`, jobs.NewJob{StaleIfError: time.Hour}},
		"stale for a while":        {`,"cache":{"stale_while_revalidate":"1h"}`, jobs.NewJob{StaleWhileRevalidate: time.Hour}},
		"no age at all":            {`,"cache":{"max_age":"0s"}`, jobs.NewJob{}},
		"negative age, for jobs":   {`,"cache":{"max_age":"-1s"}`, jobs.NewJob{MaxAge: -time.Second}},
		"negative time, for jobs":  {`,"timeout":"-1s"`, jobs.NewJob{Timeout: -time.Second}},
		"negative sample, as well": {`,"sample":-1`, jobs.NewJob{Sample: -1}},
		"null is as left out": {
			`,"endpoint":null,"priority":null,"deadline":null,"timeout":null,"dedupe":null,"cache":null,"sample":null,
			"metadata":null,"user":null,"webhook":null,"on_unavailable":null`, jobs.NewJob{},
		},
		"null in cache": {`,"cache":{"max_age":null,"no_store":null,"stale_if_error":null}`, jobs.NewJob{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decodeJob([]byte(`{"request":` + request + c.fields + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Request) != request {
				t.Errorf("request %s, want %s as it was sent", got.Request, request)
			}
			if !got.Deadline.Equal(c.want.Deadline) {
				t.Errorf("deadline %s, want %s", got.Deadline, c.want.Deadline)
			}
			got.Request, got.Fingerprint, got.Deadline, c.want.Deadline = nil, [32]byte{}, time.Time{}, time.Time{}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestDecodeJobRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", canonical.MaxDepth) + strings.Repeat("]", canonical.MaxDepth)
	for name, c := range map[string]struct {
		body string
		// want is pointer and words of each error, in order.
		want []string
	}{
		"an array":          {`[]`, []string{"", "must be a JSON object"}},
		"null":              {`null`, []string{"", "must be a JSON object"}},
		"a string":          {`"x"`, []string{"", "must be a JSON object"}},
		"not JSON":          {`{"request":{]`, []string{"/request", "not valid JSON"}},
		"half of it":        {`{"request":{}`, []string{"", "ends too early"}},
		"more behind it":    {`{"request":{}} {}`, []string{"", "more follows"}},
		"not UTF-8":         {"{\"request\":{\"a\":\"\xff\"}}", []string{"", "UTF-8"}},
		"half a character":  {`{"request":{"a":"\ud800"}}`, []string{"/request/a", "Unicode"}},
		"a key twice":       {`{"request":{},"user":"a","user":"b"}`, []string{"/user", "twice"}},
		"a key twice below": {`{"request":{"a":{"b":1,"b":2}}}`, []string{"/request/a/b", "twice"}},
		"too deep":          {`{"request":{"a":` + deep + `}}`, []string{"/request/a" + strings.Repeat("/0", 62), "deeper"}},
		"too large a whole number": {
			`{"request":{"seed":9007199254740993}}`, []string{"/request/seed", "2^53"},
		},

		"no request":       {`{}`, []string{"/request", "is required"}},
		"request null":     {`{"request":null}`, []string{"/request", "is required"}},
		"request a string": {`{"request":"{}"}`, []string{"/request", "must be a JSON object"}},
		"unknown":          {`{"request":{},"model":"m"}`, []string{"/model", "not a known field"}},
		"another case":     {`{"request":{},"Priority":"low"}`, []string{"/Priority", "not a known field"}},
		"unknown, escaped": {`{"request":{},"a/b~c":1}`, []string{"/a~1b~0c", "not a known field"}},
		"unknown null":     {`{"request":{},"mode":null}`, []string{"/mode", "not a known field"}},
		"unknown in cache": {`{"request":{},"cache":{"ttl":"1s"}}`, []string{"/cache/ttl", "not a known field"}},
		"webhook":          {`{"request":{},"webhook":"x"}`, []string{"/webhook", "must be a JSON object"}},
		"webhook of none":  {`{"request":{},"webhook":{"url":null}}`, []string{"/webhook/url", "is required"}},
		"webhook, empty":   {`{"request":{},"webhook":{"url":""}}`, []string{"/webhook/url", "is required"}},
		"webhook's fields": {`{"request":{},"webhook":{"url":5,"x":1}}`, []string{"/webhook/url", "must be a string", "/webhook/x", "is not a known field"}},
		"on_unavailable":   {`{"request":{},"on_unavailable":"retry"}`, []string{"/on_unavailable", "wait, fail or degrade"}},
		"use_case":         {`{"request":{},"use_case":""}`, []string{"/use_case", "must not be empty"}},
		"store": {
			`{"request":{},"store":"no"}`,
			[]string{"/store", "true or false"},
		},
		"stale_if_error": {
			`{"request":{},"cache":{"stale_if_error":"soon"}}`,
			[]string{"/cache/stale_if_error", `"90s"`},
		},
		"stale_while_r.": {
			`{"request":{},"cache":{"stale_while_revalidate":1}}`,
			[]string{"/cache/stale_while_revalidate", `"90s"`},
		},
		"endpoint a number":     {`{"request":{},"endpoint":1}`, []string{"/endpoint", "a string"}},
		"endpoint empty":        {`{"request":{},"endpoint":""}`, []string{"/endpoint", "empty"}},
		"priority unknown":      {`{"request":{},"priority":"urgent"}`, []string{"/priority", "high, normal or low"}},
		"priority a number":     {`{"request":{},"priority":1}`, []string{"/priority", "high, normal or low"}},
		"deadline a number":     {`{"request":{},"deadline":1900000000}`, []string{"/deadline", "RFC 3339"}},
		"deadline a date":       {`{"request":{},"deadline":"2030-01-31"}`, []string{"/deadline", "RFC 3339"}},
		"deadline at year one":  {`{"request":{},"deadline":"0001-01-01T00:00:00Z"}`, []string{"/deadline", "passed"}},
		"timeout a number":      {`{"request":{},"timeout":90}`, []string{"/timeout", `"90s"`}},
		"timeout without unit":  {`{"request":{},"timeout":"90"}`, []string{"/timeout", `"90s"`}},
		"timeout in days":       {`{"request":{},"timeout":"1d"}`, []string{"/timeout", `"90s"`}},
		"timeout zero":          {`{"request":{},"timeout":"0s"}`, []string{"/timeout", "more than zero"}},
		"dedupe a string":       {`{"request":{},"dedupe":"false"}`, []string{"/dedupe", "true or false"}},
		"cache a string":        {`{"request":{},"cache":"1h"}`, []string{"/cache", "object"}},
		"max_age a number":      {`{"request":{},"cache":{"max_age":60}}`, []string{"/cache/max_age", `"90s"`}},
		"no_store a number":     {`{"request":{},"cache":{"no_store":1}}`, []string{"/cache/no_store", "true or false"}},
		"sample a string":       {`{"request":{},"sample":"1"}`, []string{"/sample", "whole number"}},
		"sample not whole":      {`{"request":{},"sample":1.5}`, []string{"/sample", "whole number"}},
		"sample enormous":       {`{"request":{},"sample":9007199254740992}`, []string{"/sample", "whole number"}},
		"metadata a list":       {`{"request":{},"metadata":["a"]}`, []string{"/metadata", "object of strings"}},
		"metadata of numbers":   {`{"request":{},"metadata":{"n":1}}`, []string{"/metadata/n", "a string"}},
		"metadata of nulls":     {`{"request":{},"metadata":{"n":null}}`, []string{"/metadata/n", "a string"}},
		"metadata key, escaped": {`{"request":{},"metadata":{"a/b":1}}`, []string{"/metadata/a~1b", "a string"}},
		"user a number":         {`{"request":{},"user":7}`, []string{"/user", "a string"}},
		"several": {
			`{"timeout":5,"priority":"x","metadata":{"b":1,"a":2},"nope":0}`,
			[]string{
				"/metadata/a", "string", "/metadata/b", "string", "/nope", "known", "/priority", "high", "/timeout", "90s",
				"/request", "required",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := decodeJob([]byte(c.body))
			p := problemOf(err, "POST")
			if p.Code != jobs.CodeInvalidField {
				t.Fatalf("got %v", err)
			}
			got := p.Errors
			if len(got) == 0 {
				got = []fieldError{{Detail: p.Detail}}
			}
			if len(got) != len(c.want)/2 {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			for i, e := range got {
				if e.Pointer != c.want[2*i] || !strings.Contains(e.Detail, c.want[2*i+1]) {
					t.Errorf("got %q %q, want %q %q", e.Pointer, e.Detail, c.want[2*i], c.want[2*i+1])
				}
			}
		})
	}
}

// The fingerprint is the same for the same submission however it is written,
// and another for another one.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	fingerprint := func(body string) [32]byte {
		n, err := decodeJob([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return n.Fingerprint
	}
	base := fingerprint(`{"request":{"model":"m","temperature":1.0},"user":"é"}`)
	for _, same := range []string{
		`{ "user" : "\u00e9", "request": {"temperature": 1, "model": "m"} }`,
		`{"request":{"model":"m","temperature":10e-1},"user":"é"}`,
	} {
		if fingerprint(same) != base {
			t.Errorf("another fingerprint for %s", same)
		}
	}
	for _, other := range []string{
		`{"request":{"model":"m","temperature":1.0}}`,
		`{"request":{"model":"m","temperature":1.0},"user":"e"}`,
		`{"request":{"model":"m","temperature":1.0},"user":"é","priority":"low"}`,
		`{"request":{"model":"m","temperature":1.0},"user":"é","metadata":{"a":"b"}}`,
		`{"request":{"model":"M","temperature":1.0},"user":"é"}`,
	} {
		if fingerprint(other) == base {
			t.Errorf("the same fingerprint for %s", other)
		}
	}
}

// Whatever a stranger sends is either refused in words or a job whose request
// is a JSON object from the body, under a fingerprint that rewriting keeps.
func FuzzDecodeJob(f *testing.F) {
	for _, seed := range []string{
		smallest, `{}`, `null`, `{"request":{},"cache":{"max_age":"1h"},"metadata":{"a":"b"},"timeout":"5s"}`,
		`{"request":{"a":{"b":[1,2.5e3,"\u00e9"]}},"sample":2,"priority":"high"}`, `{"request":{},"request":{}}`, "\xff",
		`{"request":{},"deadline":"2030-01-31T13:00:00+01:00","dedupe":false,"user":"\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := decodeJob(body)
		if err != nil {
			p := problemOf(err, "POST")
			if p.Code != jobs.CodeInvalidField || p.Detail == "" || len(p.Detail) > maxDetail {
				t.Fatalf("refused as %+v: %v", p, err)
			}
			if _, ok := errors.AsType[*json.SyntaxError](err); ok {
				t.Fatalf("a decoder's own words: %v", err)
			}
			return
		}
		if !json.Valid(n.Request) || n.Request[0] != '{' || !bytes.Contains(body, n.Request) {
			t.Fatalf("request %q of %q", n.Request, body)
		}
		again, err := canonical.JSON(body)
		if err != nil {
			t.Fatalf("accepted %q: %v", body, err)
		}
		m, err := decodeJob(again)
		if err != nil || m.Fingerprint != n.Fingerprint {
			t.Fatalf("rewritten as %q: %v", again, err)
		}
		if m.Priority != n.Priority || m.Timeout != n.Timeout || m.Sample != n.Sample || !m.Deadline.Equal(n.Deadline) ||
			!reflect.DeepEqual(m.Metadata, n.Metadata) || m.User != n.User || m.MaxAge != n.MaxAge {
			t.Fatalf("rewritten as %q:\n%+v\n%+v", again, n, m)
		}
	})
}
