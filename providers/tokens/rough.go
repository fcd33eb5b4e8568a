package tokens

import "unicode/utf8"

// Rough returns the input tokens of a request and the limit of its output, 0 if
// it names none. It takes a fraction of the time that [Estimator.Estimate] takes,
// needs no vocabulary, and knows no model: good for comparing requests.
func Rough(endpoint string, body []byte) (input, limit int64) {
	r := read(endpoint, body, roughly)
	return r.text.tokens + r.other + perAnswer, r.limit * r.choices
}

// roughly counts a token for every ten letters of a word, every three digits,
// every other two characters of ASCII but single spaces, and every character
// of any other script.
func roughly(s []byte) (n int) {
	var kind class
	left := 0 // how many more of kind belong to the token
	for _, c := range s {
		if c >= utf8.RuneSelf {
			if utf8.RuneStart(c) {
				n++
			}
			left = 0
			continue
		}
		next := ascii[c] & (letter | number | space | newline | other)
		if next == kind && left > 0 {
			left--
			continue
		}
		kind = next
		switch {
		case next.is(letter):
			n, left = n+1, 9
		case next.is(number):
			n, left = n+1, 2
		case next.is(space):
			left = 0
		default:
			n, left = n+1, 1
		}
	}
	return n
}
