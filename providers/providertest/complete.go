package providertest

import (
	"slices"
	"testing"
)

// everyFormat are the bad replies that each format has to have an example of.
var everyFormat = []string{
	"stream cut", "stream ended early", "stream without terminal event", "stream without finish reason",
	"stream of nothing", "stream of comments", "malformed chunk", "chunk that is no object", "chunk of another shape",
	"error in the stream", "overload in the stream", "error as named event", "finish reason content_filter",
	"empty 200", "empty stream", "white space", "HTML", "null", "whole body broken off", "whole body cut",
	"whole without finish reason", "error in a 200", "connection cut before the answer",
	"400 plain", "400 context length", "400 content filter", "401 key", "401 no body", "402 no credit", "404 model",
	"404 address", "413 too large", "429 seconds", "429 fraction", "429 milliseconds", "429 date", "429 no hint",
	"429 absurd", "429 negative hint", "429 unreadable hint", "429 quota", "429 no use waiting", "500 plain",
	"502 bad gateway", "503 unavailable", "504 gateway timeout", "529 overloaded",
}

// complete wants an example of each.
func complete(t *testing.T, wire Wire) {
	t.Helper()
	for _, name := range everyFormat {
		if !slices.ContainsFunc(wire.Failures, func(f Failure) bool { return f.Name == name }) {
			t.Errorf("the wire has no reply %q", name)
		}
	}
	if len(wire.Answers) == 0 {
		t.Error("the wire has no answer")
	}
}
