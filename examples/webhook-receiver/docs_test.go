package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/webhooks"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

const root = "../.."

func docs(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "WEBHOOKS.md"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What docs/WEBHOOKS.md shows of these files is what they have.
func TestTheDocsShowTheseReceivers(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile("(?s)```(?:go|js|python) (examples/\\S+)\n(.*?\n)```\n").FindAllSubmatch(docs(t), -1)
	if len(shown) != 5 {
		t.Errorf("%d pieces are shown, want 5", len(shown))
	}
	for _, piece := range shown {
		file, err := os.ReadFile(filepath.Join(root, string(piece[1])))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(file), string(piece[2])) {
			t.Errorf("%s is shown otherwise than it is: %s", piece[1], piece[2])
		}
	}
}

// The message that is shown has the form of those that are sent, and its signature fits.
func TestTheDocsShowAMessage(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile("(?s)```http\nPOST \\S+ HTTP/1.1\n(.*?\n)```\n\n```json\n(.*?)```\n").FindSubmatch(docs(t))
	if shown == nil {
		t.Fatal("no message is shown")
	}
	header, err := textproto.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(shown[1]), strings.NewReader("\n")))).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, shown[2]); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2025, 11, 21, 17, 0, 0, 0, time.UTC)
	if err := webhooks.Verify(http.Header(header), body.Bytes(), at, keys(t, current)...); err != nil {
		t.Error(err)
	}
	var usage json.RawMessage
	sent := delivery.Envelope{Data: &delivery.Job{Usage: &usage}}
	decoder := json.NewDecoder(bytes.NewReader(shown[2]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&sent); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(sent); err != nil || !bytes.Equal(again, body.Bytes()) {
		t.Errorf("shown is\n%s\nsent is, error %v,\n%s", body.Bytes(), err, again)
	}
}

func TestTheDocsNameEveryTypeOfEvent(t *testing.T) {
	t.Parallel()
	text := docs(t)
	for _, name := range append(delivery.Types(), delivery.EndpointTest) {
		if !bytes.Contains(text, []byte("`"+name+"`")) {
			t.Errorf("%s is not named", name)
		}
	}
}

func TestTheDocsTellTheSchedule(t *testing.T) {
	t.Parallel()
	said := make([]string, 0, len(delivery.DefaultSchedule))
	for _, d := range delivery.DefaultSchedule[1:] {
		switch {
		case d < time.Minute:
			said = append(said, fmt.Sprintf("%d s", d/time.Second))
		case d < time.Hour:
			said = append(said, fmt.Sprintf("%d min", d/time.Minute))
		default:
			said = append(said, fmt.Sprintf("%d h", d/time.Hour))
		}
	}
	last := len(said) - 1
	want := strings.Join(said[:last], ", ") + " and " + said[last]
	if !bytes.Contains(docs(t), []byte(want)) {
		t.Errorf("the schedule is not told: %s", want)
	}
}
