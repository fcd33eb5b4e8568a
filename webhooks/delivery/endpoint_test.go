package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
	"github.com/penstock-dev/penstock/webhooks/guard"
)

func TestAnEndpointIsChecked(t *testing.T) {
	t.Parallel()
	g, err := guard.New(guard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	good := delivery.Endpoint{
		URL: "https://example.com/hooks", Types: []string{"job.*", "lane.opened", "*"}, Metadata: map[string]string{"team": "a"},
		Timeout: time.Minute, PerMinute: 600, Concurrency: 100, Schedule: delivery.Schedule{0, time.Second},
		Header: map[string]string{"X-Team": "a", "Authorization": "Bearer x"},
	}
	if err := good.Check(g); err != nil {
		t.Errorf("%+v: %v", good, err)
	}
	if err := (delivery.Endpoint{URL: good.URL}).Check(g); err != nil {
		t.Errorf("an address alone: %v", err)
	}
	many := map[string]string{}
	for i := range 17 {
		many["X-"+strings.Repeat("a", i+1)] = "b"
	}
	for pointer, edit := range map[string]func(e *delivery.Endpoint){
		"/url: is not https":                    func(e *delivery.Endpoint) { e.URL = "http://example.com/" },
		"/url: has the address 10.0.0.1":        func(e *delivery.Endpoint) { e.URL = "https://10.0.0.1/" },
		"/description: is longer":               func(e *delivery.Endpoint) { e.Description = strings.Repeat("a", 1025) },
		"/types/1: is no type":                  func(e *delivery.Endpoint) { e.Types = []string{"*", "job.done"} },
		"/types/0: is no type":                  func(e *delivery.Endpoint) { e.Types = []string{"jo*"} },
		"/types: has 65":                        func(e *delivery.Endpoint) { e.Types = make([]string, 65) },
		"/description: is longer than 1024":     func(e *delivery.Endpoint) { e.Description = "a\x00" },
		"/metadata/a: has a key":                func(e *delivery.Endpoint) { e.Metadata = map[string]string{"a": "\x00"} },
		"/metadata/: has a key":                 func(e *delivery.Endpoint) { e.Metadata = map[string]string{"": "b"} },
		"/metadata/b: has a key":                func(e *delivery.Endpoint) { e.Metadata = map[string]string{"b": strings.Repeat("é", 513)} },
		"/metadata: has 17":                     func(e *delivery.Endpoint) { e.Metadata = many },
		"/timeout: is 1ms":                      func(e *delivery.Endpoint) { e.Timeout = time.Millisecond },
		"/timeout: is 1m1s":                     func(e *delivery.Endpoint) { e.Timeout = 61 * time.Second },
		"/per_minute: is -1":                    func(e *delivery.Endpoint) { e.PerMinute = -1 },
		"/concurrency: is 101":                  func(e *delivery.Endpoint) { e.Concurrency = 101 },
		"/schedule: waits":                      func(e *delivery.Endpoint) { e.Schedule = delivery.Schedule{0, 25 * time.Hour} },
		"/headers: has 17":                      func(e *delivery.Endpoint) { e.Header = many },
		"/headers/webhook-id: is a header that": func(e *delivery.Endpoint) { e.Header = map[string]string{"webhook-id": "x"} },
		"/headers/host: is a header that":       func(e *delivery.Endpoint) { e.Header = map[string]string{"host": "x"} },
		"/headers/a~1b~0: is not a header's":    func(e *delivery.Endpoint) { e.Header = map[string]string{"a/b~": "x"} },
		"/headers/A: has a value":               func(e *delivery.Endpoint) { e.Header = map[string]string{"A": "x\r\nb: c"} },
		"/headers/x-a: is there twice":          func(e *delivery.Endpoint) { e.Header = map[string]string{"x-a": "1", "X-A": "2"} },
	} {
		e := good
		edit(&e)
		if err := e.Check(g); err == nil || !strings.Contains(err.Error(), pointer) {
			t.Errorf("got %v, want %q in it", err, pointer)
		}
	}
}

func TestWhatAnEndpointWants(t *testing.T) {
	t.Parallel()
	team := map[string]string{"team": "a", "run": "7"}
	for _, c := range []struct {
		types     []string
		metadata  map[string]string
		eventType string
		want      bool
	}{
		{nil, nil, "job.failed", true},
		{[]string{"*"}, nil, "lane.opened", true},
		{[]string{"job.*"}, nil, "job.failed", true},
		{[]string{"job.*"}, nil, "lane.opened", false},
		{[]string{"job.failed"}, nil, "job.failed", true},
		{[]string{"job.failed", "lane.*"}, nil, "job.succeeded", false},
		{nil, map[string]string{"team": "a"}, "job.failed", true},
		{nil, map[string]string{"team": "b"}, "job.failed", false},
		{nil, map[string]string{"team": "a", "other": ""}, "job.failed", false},
	} {
		e := delivery.Endpoint{Types: c.types, Metadata: c.metadata}
		if got := e.Wants(c.eventType, team); got != c.want {
			t.Errorf("%v %v wants %s: got %t", c.types, c.metadata, c.eventType, got)
		}
	}
	if (delivery.Endpoint{Metadata: map[string]string{"team": ""}}).Wants("lane.opened", nil) {
		t.Error("an event without metadata was wanted for its metadata")
	}
}
