package simulated

import (
	"crypto/sha256"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// maxOutput bounds how many tokens an answer can have.
const maxOutput = 100_000

var words = strings.Fields(`water gate river turbine valve flow pressure lake dam channel stream engine wheel power
	steady slow deep early quiet narrow open level upper lower each second another between during after before through
	carries holds turns meets lets keeps gives takes follows returns reaches fills the a its this that one every some
	morning season village bridge mill stone iron wood light hour day year reason answer question way part side end
	and while because so until where which though as when with without under over from into toward against`)

// writeText returns count tokens, each a word with what precedes and follows
// it. Joined they are the answer.
func writeText(draws *rand.Rand, count int) []string {
	tokens := make([]string, 0, count)
	begins := true
	length := 0
	for i := range count {
		word := words[draws.IntN(len(words))]
		if begins {
			word = strings.ToUpper(word[:1]) + word[1:]
		}
		if i > 0 {
			word = " " + word
		}
		length++
		begins = length > 5 && draws.IntN(8) == 0 || i == count-1
		if begins {
			word += "."
			length = 0
		}
		tokens = append(tokens, word)
	}
	return tokens
}

// promptHash hangs on what is asked of which model, and on nothing else.
func promptHash(model string, prompt json.RawMessage) [sha256.Size]byte {
	return sha256.Sum256(append(append([]byte(model), 0), prompt...))
}

// countTokens estimates the tokens of messages: a quarter of the characters
// of all strings in them, and a few for each message.
func countTokens(messages []json.RawMessage) int {
	characters := 0
	for _, message := range messages {
		var value any
		if json.Unmarshal(message, &value) == nil {
			characters += 16 + countCharacters(value)
		}
	}
	return (characters + 3) / 4
}

func countCharacters(value any) int {
	switch v := value.(type) {
	case string:
		return utf8.RuneCountInString(v)
	case []any:
		sum := 0
		for _, element := range v {
			sum += countCharacters(element)
		}
		return sum
	case map[string]any:
		sum := 0
		for name, element := range v {
			if name != "role" && name != "type" {
				sum += countCharacters(element)
			}
		}
		return sum
	default:
		return 0
	}
}
