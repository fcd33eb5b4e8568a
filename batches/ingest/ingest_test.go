package ingest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/batches/ingest"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/providers"
)

// check is that of a service whose only model is m.
func check() func(jobs.NewJob) ([32]byte, error) {
	catalog := jobs.NewCatalog([]jobs.Route{{Name: "m", Targets: []jobs.Target{{Provider: "sim", Model: "m"}}}}, nil, jobs.Route{})
	return jobs.NewService(nil, queuetest.New(), catalog).Check
}

// line is a good one but for what is replaced in it: old and new in turns.
func line(customID string, replaced ...string) string {
	return strings.NewReplacer(replaced...).Replace(fmt.Sprintf(
		`{"custom_id":%q,"method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":%q}]}}`,
		customID, customID))
}

func batch() batches.Batch { return batches.Batch{Tenant: "acme", Endpoint: providers.ChatCompletions} }

// read reads all of an input.
func read(t *testing.T, b batches.Batch, input io.Reader, before ...batches.Line) (lines []batches.Line, to batches.Cursor, problems []batches.Problem, count int) {
	t.Helper()
	i := ingest.New(ingest.Config{Batch: b, Input: input, Check: check()})
	i.Keep(before)
	to = b.Read
	for {
		page, err := i.Next()
		if errors.Is(err, io.EOF) {
			problems, count = i.Problems()
			return lines, to, problems, count
		}
		if err != nil {
			t.Fatal(err)
		}
		if page.From != to {
			t.Fatalf("a page begins at %+v, want %+v", page.From, to)
		}
		lines, to = append(lines, page.Lines...), page.To
	}
}

func TestLinesAreFoundWhereTheyAre(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]string{
		"LF":                     line("a") + "\n" + line("b") + "\n",
		"CRLF":                   line("a") + "\r\n" + line("b") + "\r\n",
		"no end":                 line("a") + "\n" + line("b"),
		"a mark and blank lines": "\ufeff" + line("a") + "\n" + line("b") + "\n\n \t\r\n\n",
		"spaces":                 " " + line("a") + " \n\t" + line("b") + "\n",
	} {
		lines, to, problems, _ := read(t, batch(), iotest.OneByteReader(strings.NewReader(input)))
		if len(problems) > 0 || len(lines) != 2 || to.Lines != 2 {
			t.Errorf("%s: got %d lines to %+v and %v, want 2", name, len(lines), to, problems)
			continue
		}
		for i, l := range lines {
			text := input[l.Offset : l.Offset+int64(l.Length)]
			if want := line([]string{"a", "b"}[i]); strings.TrimSpace(text) != want || l.N != i+1 || l.CustomID != []string{"a", "b"}[i] {
				t.Errorf("%s: line %d has the id %q and is %q, want %q", name, l.N, l.CustomID, text, want)
			}
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, code, param string }{
		"no JSON":              {`{"custom_id":`, batches.CodeInvalidJSONLine, "/custom_id"},
		"no JSON in the body":  {line("x", `"m"`, `m`), batches.CodeInvalidJSONLine, "/body/model"},
		"two on a line":        {line("x") + line("y"), batches.CodeInvalidJSONLine, ""},
		"no object":            {`[1]`, batches.CodeInvalidJSONLine, ""},
		"not UTF-8":            {line("x", `"user"`, "\"\xff\""), batches.CodeInvalidUTF8, ""},
		"blank":                {" \t", batches.CodeInvalidJSONLine, ""},
		"a key twice":          {line("x", `"method"`, `"custom_id":"y","method"`), batches.CodeInvalidJSONLine, "/custom_id"},
		"a key twice below":    {line("x", `"role"`, `"content":"","role"`), string(jobs.CodeInvalidField), "/body/messages/0/content"},
		"a large number":       {line("x", `"m"`, `"m","seed":9007199254740993`), string(jobs.CodeInvalidField), "/body/seed"},
		"no id":                {line("x", `"custom_id"`, `"Custom_ID"`), batches.CodeMissingCustomID, "/custom_id"},
		"an id that is null":   {`{"custom_id":null}`, batches.CodeMissingCustomID, "/custom_id"},
		"an id that is none":   {`{"custom_id":7}`, batches.CodeInvalidCustomID, "/custom_id"},
		"an empty id":          {line(""), batches.CodeInvalidCustomID, "/custom_id"},
		"a long id":            {line(strings.Repeat("x", batches.MaxCustomID+1)), batches.CodeInvalidCustomID, "/custom_id"},
		"an id with NUL":       {line("x", `"x"`, `"\u0000"`), batches.CodeInvalidCustomID, "/custom_id"},
		"another method":       {line("x", "POST", "GET"), batches.CodeInvalidMethod, "/method"},
		"another endpoint":     {line("x", "/v1/chat/completions", "/v1/embeddings"), batches.CodeInvalidURL, "/url"},
		"no body":              {line("x", `"body"`, `"Body"`), batches.CodeMissingBody, "/body"},
		"a body that is none":  {`{"custom_id":"x","method":"POST","url":"/v1/chat/completions","body":[]}`, string(jobs.CodeInvalidField), "/body"},
		"no messages":          {line("x", `"messages"`, `"message"`), string(jobs.CodeInvalidField), "/body/messages"},
		"a model there is not": {line("x", `"m"`, `"n"`), string(jobs.CodeUnknownModel), "/body/model"},
		"the same id":          {line("before", `"content":"before"`, `"content":"other"`), batches.CodeDuplicateCustomID, "/custom_id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := line("before") + "\n" + c.line + "\n" + line("after") + "\n"
			lines, _, problems, count := read(t, batch(), strings.NewReader(input))
			if count != 1 || len(problems) != 1 || len(lines) != 0 {
				t.Fatalf("got %d lines and the problems %v, want one", len(lines), problems)
			}
			if p := problems[0]; p.Line != 2 || p.Code != c.code || p.Param != c.param || p.Message == "" {
				t.Errorf("got %+v, want %s of line 2 at %q", p, c.code, c.param)
			}
		})
	}
}

func TestALineOfTheMostBytesAndOneMore(t *testing.T) {
	t.Parallel()
	fill := strings.Repeat("x", batches.MaxLine-len(line("a"))-len("b")+len("a"))
	most := line("a", `"content":"a`, `"content":"a`+fill)
	if len(most) != batches.MaxLine {
		t.Fatalf("the line has %d bytes, want %d", len(most), batches.MaxLine)
	}
	lines, _, problems, _ := read(t, batch(), strings.NewReader(most+"\r\n"))
	if len(lines) != 1 || len(problems) != 0 {
		t.Errorf("the longest line: got %v", problems)
	}
	for _, longer := range []string{most + " ", most + strings.Repeat(" ", 3*batches.MaxLine)} {
		_, to, problems, count := read(t, batch(), strings.NewReader(longer+"\n"+line("b")+"\n"))
		if count != 1 || problems[0].Line != 1 || problems[0].Code != batches.CodeLineTooLong || to.Lines != 2 {
			t.Errorf("a line of %d bytes: got %v and %d lines read", len(longer), problems, to.Lines)
		}
	}
}

func TestWhatIsWrongWithAllOfTheInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ input, code string }{
		"nothing":     {"", batches.CodeEmptyFile},
		"blank lines": {"\n \r\n", batches.CodeEmptyFile},
		"only a mark": {"\ufeff", batches.CodeEmptyFile},
	} {
		_, _, problems, count := read(t, batch(), strings.NewReader(c.input))
		if count != 1 || problems[0].Line != 0 || problems[0].Code != c.code {
			t.Errorf("%s: got %v, want %s", name, problems, c.code)
		}
	}
}

// One line too many is found behind as many as there may be, and behind any number of
// blank ones.
func TestTooManyLines(t *testing.T) {
	t.Parallel()
	b := batch()
	b.Read = batches.Cursor{Lines: batches.MaxLines - 1, Bytes: 1000}
	lines, _, problems, _ := read(t, b, strings.NewReader(line("a")))
	if len(lines) != 1 || len(problems) != 0 {
		t.Fatalf("the last line there may be: got %v", problems)
	}
	for _, between := range []string{"\n", strings.Repeat("\n", 1000)} {
		_, _, problems, count := read(t, b, strings.NewReader(line("a")+between+line("b")))
		if count != 1 || problems[0].Line != 0 || problems[0].Code != batches.CodeTooManyLines {
			t.Errorf("one more, after %d line ends: got %v", len(between), problems)
		}
	}
}

// However many problems there are, all are counted and so many are kept.
func TestManyProblems(t *testing.T) {
	t.Parallel()
	const n = 5000
	var input strings.Builder
	for i := range n {
		if i%2 == 0 {
			input.WriteString("{}\n")
		} else {
			input.WriteString(line(fmt.Sprint(i)) + "\n")
		}
	}
	lines, to, problems, count := read(t, batch(), strings.NewReader(input.String()))
	if len(problems) != batches.MaxProblems || count != n/2 || len(lines) != 0 || to.Lines != n {
		t.Fatalf("got %d of %d problems, %d lines and %d read", len(problems), count, len(lines), to.Lines)
	}
	for i, p := range problems {
		if p.Line != 2*i+1 {
			t.Fatalf("problem %d is of line %d, want them in order", i, p.Line)
		}
	}
}

// A second line that asks for the same is a repeat, however it is written; one that goes
// on where another stopped knows of what was before.
func TestGoingOnIsAsReadingAllAtOnce(t *testing.T) {
	t.Parallel()
	var input strings.Builder
	const n = 5000
	for i := range n {
		input.WriteString(line(fmt.Sprint(i), fmt.Sprintf(`"content":"%d"`, i), fmt.Sprintf(` "content" : "%d"`, i%3000)) + "\r\n")
	}
	all, end, problems, _ := read(t, batch(), strings.NewReader(input.String()))
	if len(all) != n || len(problems) != 0 || end.Bytes != int64(input.Len()) {
		t.Fatalf("got %d lines to %+v and %v", len(all), end, problems)
	}
	for i, l := range all {
		if l.N != i+1 || l.CustomID != fmt.Sprint(i) || l.Repeat != (i >= 3000) || l.State != batches.LinePending {
			t.Fatalf("line %d is %+v", i+1, l)
		}
	}
	b := batch()
	b.Read = batches.Cursor{Lines: 2500, Bytes: all[2500].Offset}
	rest, to, problems, _ := read(t, b, strings.NewReader(input.String()[b.Read.Bytes:]), all[:2500]...)
	if len(problems) != 0 || to != end || !slices.Equal(rest, all[2500:]) {
		t.Fatalf("going on: got %d lines to %+v and %v", len(rest), to, problems)
	}
	b.Read = batches.Cursor{Lines: n, Bytes: end.Bytes}
	_, _, problems, _ = read(t, b, strings.NewReader(line("7")+"\n"), all...)
	if len(problems) != 1 || problems[0].Code != batches.CodeDuplicateCustomID || problems[0].Message != "line 8 has the same" {
		t.Errorf("an id of a line before: got %v", problems)
	}
	_, _, problems, _ = read(t, b, strings.NewReader(""), all...)
	if len(problems) != 0 {
		t.Errorf("nothing more: got %v", problems)
	}
}

func TestReadingThatFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	i := ingest.New(ingest.Config{
		Batch: batch(), Check: check(), Input: io.MultiReader(strings.NewReader(line("a")+"\n"+line("b")), iotest.ErrReader(broken)),
	})
	page, err := i.Next()
	if err != nil || len(page.Lines) != 1 {
		t.Fatalf("got %d lines (%v), want that which was read", len(page.Lines), err)
	}
	for range 2 {
		if _, err := i.Next(); !errors.Is(err, broken) {
			t.Fatalf("got %v, want %v", err, broken)
		}
	}
}

// A line that something panics over is a problem of that line alone.
func TestALineThatIsPoison(t *testing.T) {
	t.Parallel()
	var values []any
	i := ingest.New(ingest.Config{
		Batch: batch(), Input: strings.NewReader(line("a") + "\n" + line("b") + "\n"),
		Check: func(n jobs.NewJob) ([32]byte, error) {
			if bytes.Contains(n.Request, []byte(`"b"`)) {
				panic("poison")
			}
			return [32]byte{}, nil
		},
		Panicked: func(value any, stack []byte) {
			if len(stack) > 0 {
				values = append(values, value)
			}
		},
	})
	if _, err := i.Next(); err != nil {
		t.Fatal(err)
	}
	problems, count := i.Problems()
	if count != 1 || problems[0].Line != 2 || problems[0].Code != batches.CodeUnchecked || !slices.Equal(values, []any{"poison"}) {
		t.Errorf("got %v, told of %v; want a problem of line 2", problems, values)
	}
}

// FuzzLines: whatever is read, each line is told of once and lies where it says, no
// problem quotes the input, and going on in the middle is as reading all at once.
func FuzzLines(f *testing.F) {
	f.Add([]byte(line("a")+"\r\n"+line("b")+"\n\n"), uint16(1))
	f.Add([]byte("\ufeff"+line("a")+"\n{}\n\n[1,\n\""), uint16(0))
	f.Add([]byte(line("a", `"m"`, `"\ud800"`)+"\n"+line("a")+"\n"+line("a")), uint16(2))
	request := check()
	f.Fuzz(func(t *testing.T, input []byte, at uint16) {
		lines, to, problems, count := read(t, batch(), bytes.NewReader(input))
		if len(problems) != min(count, batches.MaxProblems) || count == 0 && len(lines) != to.Lines || to.Bytes > int64(len(input)) {
			t.Fatalf("%d lines to %+v, %d problems, %d counted", len(lines), to, len(problems), count)
		}
		ids := map[string]bool{}
		for i, l := range lines {
			var said struct {
				CustomID string          `json:"custom_id"`
				Body     json.RawMessage `json:"body"`
			}
			text := input[l.Offset : l.Offset+int64(l.Length)]
			if err := json.Unmarshal(text, &said); err != nil || said.CustomID != l.CustomID || l.N != i+1 || ids[l.CustomID] {
				t.Fatalf("line %d is %q: %+v (%v)", i+1, text, l, err)
			}
			if hash, err := request(batch().Job(said.Body)); err != nil || hash != l.Hash {
				t.Fatalf("line %d: the hash is %x, want %x (%v)", i+1, l.Hash, hash, err)
			}
			ids[l.CustomID] = true
		}
		if count > 0 || len(lines) < 2 {
			return
		}
		cut := 1 + int(at)%(len(lines)-1)
		b := batch()
		b.Read = batches.Cursor{Lines: cut, Bytes: lines[cut].Offset}
		rest, end, problems, _ := read(t, b, bytes.NewReader(input[b.Read.Bytes:]), lines[:cut]...)
		if len(problems) != 0 || end != to || !slices.Equal(rest, lines[cut:]) {
			t.Fatalf("going on after %d lines: %d lines to %+v, %v", cut, len(rest), end, problems)
		}
	})
}

// What long lines took is given back between two pages: many inputs are read in turns.
func TestLongLinesAreNotKeptInMemory(t *testing.T) { //nolint:paralleltest // it looks at the memory of the process
	long := line("a", `"a"}]`, `"`+strings.Repeat("x", 7<<20)+`"}]`)
	var all []*ingest.Ingest
	before := heap()
	for range 4 {
		i := ingest.New(ingest.Config{Batch: batch(), Input: io.MultiReader(strings.NewReader(long), strings.NewReader("\n"+line("b"))), Check: check()})
		if page, err := i.Next(); err != nil || len(page.Lines) != 1 {
			t.Fatalf("got %d lines (%v), want 1", len(page.Lines), err)
		}
		all = append(all, i)
	}
	if took := heap() - before; took > 10<<20 {
		t.Errorf("%d inputs hold %d MiB between two pages", len(all), took>>20)
	}
	runtime.KeepAlive(all)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
