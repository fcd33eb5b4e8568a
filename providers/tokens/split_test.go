package tokens

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer/codec"
)

// Texts that take every branch of the pattern.
var texts = []string{
	"", "a", "Hello, world!", "HELLO World helloWorld HTTPServer iPhone McDonald", "don't DON'T they'll I'VE 'sup we're x'd 'z",
	"  leading and   inner   spaces  ", "tabs\t\there\t", "line\nline\r\n\r\n  indented\n\n\n", "a \n b", " \n \t\n  x", "1234567 12,345.67 x1y22z333",
	"def f(x):\n    return {\"a\": [1, 2, 3], 'b': x**2}  # done\n", "https://example.com/a/b?c=d&e=f#g", "path//to\n//x", "!!!???...\n\n/",
	"漢字とかなカナ、日本語。", "Привет, МИР! Как дела?", "مرحبا بالعالم", "नमस्ते दुनिया", "e\u0301te\u0301 \u0301A \u0301ABC \u0301Abc A\u0301B", "😀👍🏽 👩‍👩‍👧",
	"½ ² ٣٤٥٦ Ⅷ", "ǅungla ǅ", "\u00a0nbsp\u2003em\u3000ideo \u0085x", "ʰʰA Aʰ AʰB", "snake_case-kebab $100 50% @me #tag", "日本語ABCdef漢字Def", "ßSS ẞ",
	" (foo) [Bar] {BAZ}", "a  'b", "...abc...ABC...", "\u200babc", "x\u0301\u0302\u0303y", "!\u0301!", " \u0301", "中文 English 混合 TEXT",
}

// pattern is that of o200k_base, but for the look ahead of which [regexp] knows
// nothing.
var pattern = regexp.MustCompile(strings.NewReplacer(
	"LOWER", `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`, "UPPER", `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`,
	"SPACE", `\s\v\x{85}\p{Z}`, "CONTRACTION", `(?:(?i:'s|'t|'re|'ve|'m|'ll|'d)?)`,
).Replace(`^(?:[^\r\n\p{L}\p{N}]?UPPER*LOWER+CONTRACTION|[^\r\n\p{L}\p{N}]?UPPER+LOWER*CONTRACTION|\p{N}{1,3}` +
	`| ?[^SPACE\p{L}\p{N}]+[\r\n/]*|[SPACE]*[\r\n]+|([SPACE]+))`))

// firstPiece is split by the pattern.
func firstPiece(t *testing.T, s string) int {
	t.Helper()
	found := pattern.FindStringSubmatchIndex(s)
	if found == nil {
		t.Fatalf("no piece in %q", s)
	}
	end := found[1]
	_, size := utf8.DecodeLastRuneInString(s[:end])
	if spaces := found[2] >= 0; spaces && end < len(s) && size < end {
		return end - size
	}
	return end
}

func checkPieces(t *testing.T, text string) {
	t.Helper()
	for rest := text; rest != ""; {
		got, want := split([]byte(rest)), firstPiece(t, rest)
		if got != want {
			t.Fatalf("the first piece of %q, in %q: got %q, want %q", rest, text, rest[:got], rest[:want])
		}
		rest = rest[want:]
	}
}

func TestPiecesAreThoseOfThePattern(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		checkPieces(t, text)
	}
}

// A whole text counts as the reference counts it.
func TestCountsAsTheReference(t *testing.T) {
	t.Parallel()
	reference := codec.NewO200kBase()
	for _, text := range texts {
		want, err := reference.Count(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := o200k().count([]byte(text)); got != want {
			_, pieces, _ := reference.Encode(text)
			t.Errorf("%q: got %d tokens, want %d: %q", text, got, want, pieces)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkPieces(t, strings.ToValidUTF8(text, "")) })
}

// The reference is asked about words alone: its engine for patterns finds
// nothing in a DEL and two pieces in "\n \n", which is one and a token.
func FuzzCount(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	reference := codec.NewO200kBase()
	f.Fuzz(func(t *testing.T, text string) {
		for rest := []byte(strings.ToValidUTF8(text, "")); len(rest) > 0; {
			piece := rest[:split(rest)]
			rest = rest[len(piece):]
			if len(piece) > maxPiece || bytes.ContainsAny(piece, "\n\r\x7f") {
				continue
			}
			want, err := reference.Count(string(piece))
			if got := o200k().count(piece); err != nil || got != want {
				t.Errorf("%q: got %d tokens, want %d, %v", piece, got, want, err)
			}
		}
	})
}

// What an engine for patterns takes the square of takes time in proportion.
func BenchmarkCount(b *testing.B) {
	for name, text := range map[string]string{
		"english": strings.Repeat("The quick brown fox jumps over the lazy dog, again and again. ", 64),
		"spaces":  strings.Repeat("\n ", 2048), "letters": strings.Repeat("a", 4096), "han": strings.Repeat("漢字", 682),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			o200k()
			for b.Loop() {
				o200k().count([]byte(text))
			}
		})
	}
}
