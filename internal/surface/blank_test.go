package surface_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/penstock-dev/penstock/internal/surface"
)

// TestTight: white space beyond the bound is left out, and nothing else is, however it comes.
func TestTight(t *testing.T) {
	t.Parallel()
	blank, most := strings.Repeat(" \t\r\n", 4<<10), strings.Repeat(" \t\r\n", 1<<10)
	for body, want := range map[string]string{
		"": "", "{}": "{}", `{ "a" : [ 1 , 2 ] }`: `{ "a" : [ 1 , 2 ] }`,
		blank + "{" + blank + "}" + blank:     most + "{" + most + "}" + most,
		most + "[" + most + "]":               most + "[" + most + "]",
		`{"a` + blank + `":"` + blank + `"}`:  `{"a` + blank + `":"` + blank + `"}`,
		`["\"` + blank + `\\"` + blank + `]`:  `["\"` + blank + `\\"` + most + `]`,
		`["\\\"` + blank + `",` + blank + `1`: `["\\\"` + blank + `",` + most + `1`,
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(body), "by bytes": iotest.OneByteReader(strings.NewReader(body))} {
			if got, err := io.ReadAll(surface.Tight(r)); err != nil || string(got) != want {
				t.Errorf("%s: got %d bytes of %d, want %d, error %v", name, len(got), len(body), len(want), err)
			}
		}
	}
	if _, err := io.ReadAll(surface.Tight(iotest.ErrReader(io.ErrNoProgress))); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}
