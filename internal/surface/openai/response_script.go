package openai

import (
	"encoding/json"
	"hash"
	"hash/fnv"
	"strings"
	"unicode"
)

// nothingTold is the sequence number before the first.
const nothingTold = -1

// runBits is how many bits of a sequence number count the events of one run.
const runBits = 24

// script is the events of a response, in their order. Which there are, and how they are
// numbered, depends on the answer alone, not on how it arrived: text is told by the word.
// So an answer can be told from any event on by whoever has it, while it is made and
// afterwards, and nothing is kept for that.
//
// Numbers are 0, 1, 2 and so on; those of the nth run that was released for the answer
// are n-1 << runBits more. A number that was told of a run which broke off is not one of
// the answer's, and a client that goes on from there learns that the answer is another.
type script struct {
	send func(name string, data []byte)
	// after is the number of the last event that the client has from elsewhere.
	after int64
	// run is what is added to the numbers; next is that of the next event without it.
	run, next int64
	// last is the number of the last event that was sent, or after.
	last int64
	// sum is over what was sent of the answer.
	sum hash.Hash64
	// told is a script that was sent before, of the same answer: events up to its last
	// are not sent, and must be the same.
	told *script
	// compared says that they were.
	compared bool
	err      error
}

func newScript(after int64, send func(string, []byte)) *script {
	return &script{send: send, after: after, last: after, sum: fnv.New64a()}
}

// again is the script of the whole answer, of which s was a part.
func (s *script) again() *script {
	next := newScript(s.after, s.send)
	next.told = s
	return next
}

// underway numbers what follows as events of the run with this fence.
func (s *script) underway(fence int64) { s.run = max(fence-1, 0) << runBits }

// event tells an event, unless the client has it. content is what of it is the answer's.
func (s *script) event(name, content string, members object) {
	number := s.run + s.next
	s.next++
	if number <= s.after || s.err != nil {
		return
	}
	if s.told != nil && number > s.told.last {
		s.compare()
	}
	if s.err != nil {
		return
	}
	_, _ = s.sum.Write([]byte(name + "\x00" + content + "\x00"))
	if s.told != nil && number <= s.told.last {
		return
	}
	s.last = number
	o := append(object{{"type", quote(name)}, {"sequence_number", integer(number)}}, members...)
	s.send(name, o.encode())
}

// compare finds out, once, whether what was told before is the beginning of this.
func (s *script) compare() {
	if s.told != nil && !s.compared {
		s.compared = true
		if s.sum.Sum64() != s.told.sum.Sum64() {
			s.err = errOtherAnswer
		}
	}
}

// end returns what was wrong.
func (s *script) end() error {
	s.compare()
	return s.err
}

// out is an item of the output as it is told.
type out struct {
	script *script
	index  int
	id     json.RawMessage
	raw    object
}

// add begins an item: what it has of content is to come.
func (s *script) add(index int, raw object) out {
	id, ok := raw.get("id")
	if !ok {
		id = quote("")
	}
	begun := raw
	switch kindOf(raw) {
	case "message":
		begun = clone(raw).set("content", json.RawMessage("[]")).set("status", quote(responseInProgress))
	case "function_call":
		begun = clone(raw).set("arguments", quote("")).set("status", quote(responseInProgress))
	}
	s.event("response.output_item.added", "", object{{"output_index", integer(int64(index))}, {"item", begun.encode()}})
	return out{script: s, index: index, id: id, raw: raw}
}

// done ends the item.
func (o out) done() {
	o.script.event("response.output_item.done", "", object{{"output_index", integer(int64(o.index))}, {"item", o.raw.encode()}})
}

// at says where in the output something is.
func (o out) at(part int) object {
	return object{{"item_id", o.id}, {"output_index", integer(int64(o.index))}, {"content_index", integer(int64(part))}}
}

// part is a piece of content on its way.
type part struct {
	out   out
	index int
	// member is where the text is in the part, and events begin with name.
	member, name string
	raw          object
	text         words
	whole        strings.Builder
}

// begin begins a part of a message.
func (o out) begin(index int, raw object) *part {
	p := &part{out: o, index: index, raw: raw}
	begun := raw
	switch kindOf(raw) {
	case "output_text":
		p.member, p.name = "text", "response.output_text"
	case "refusal":
		p.member, p.name = "refusal", "response.refusal"
	}
	if p.member != "" {
		begun = clone(raw).set(p.member, quote(""))
	}
	o.script.event("response.content_part.added", "", append(o.at(index), member{"part", begun.encode()}))
	return p
}

// say tells more of the text.
func (p *part) say(text string) {
	p.whole.WriteString(text)
	for _, word := range p.text.add(text) {
		p.delta(word)
	}
}

func (p *part) delta(word string) {
	members := append(p.out.at(p.index), member{"delta", quote(word)})
	if p.member == "text" {
		members = append(members, member{"logprobs", json.RawMessage("[]")})
	}
	p.out.script.event(p.name+".delta", word, members)
}

// done ends the part.
func (p *part) done() {
	if word := p.text.rest(); word != "" {
		p.delta(word)
	}
	if p.member != "" {
		members := append(p.out.at(p.index), member{p.member, quote(p.whole.String())})
		if p.member == "text" {
			members = append(members, member{"logprobs", json.RawMessage("[]")})
		}
		p.out.script.event(p.name+".done", "", members)
	}
	p.out.script.event("response.content_part.done", "", append(p.out.at(p.index), member{"part", p.raw.encode()}))
}

// call tells the arguments of a function call.
func (o out) call(arguments string) {
	const name = "response.function_call_arguments"
	at := object{{"item_id", o.id}, {"output_index", integer(int64(o.index))}}
	var text words
	for _, word := range append(text.add(arguments), text.rest()) {
		if word != "" {
			o.script.event(name+".delta", word, append(clone(at), member{"delta", quote(word)}))
		}
	}
	called, _ := o.raw.get("name")
	o.script.event(name+".done", "", append(at, member{"name", orEmpty(called)}, member{"arguments", quote(arguments)}))
}

// output tells all of the output of a response that is there.
func (s *script) output(response object) error {
	raw, _ := response.get("output")
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return err
	}
	for i, raw := range items {
		o, err := readObject(raw)
		if err != nil {
			return err
		}
		if err := s.item(i, o); err != nil {
			return err
		}
	}
	return s.err
}

// item tells an item that is whole.
func (s *script) item(index int, raw object) error {
	o := s.add(index, raw)
	switch kindOf(raw) {
	case "message":
		content, _ := raw.get("content")
		var parts []json.RawMessage
		if err := json.Unmarshal(content, &parts); err != nil {
			return err
		}
		for i, one := range parts {
			members, err := readObject(one)
			if err != nil {
				return err
			}
			p := o.begin(i, members)
			if p.member != "" {
				text, _ := members.get(p.member)
				p.say(textOf(text))
			}
			p.done()
		}
	case "function_call":
		arguments, _ := raw.get("arguments")
		o.call(textOf(arguments))
	}
	o.done()
	return nil
}

func kindOf(o object) string {
	kind, _ := o.get("type")
	return textOf(kind)
}

func orEmpty(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return quote("")
	}
	return raw
}

// clone returns a copy whose members can be set.
func clone(o object) object { return append(object{}, o...) }

// encodeResponse is an event's response.
func encodeResponse(o object) object { return object{{"response", o.encode()}} }

// maxWord is how many characters a word has at most.
const maxWord = 40

// words cuts a text into words with the space before them. Where it is cut depends on
// the text alone, and not on how it came.
type words struct{ held string }

// add returns the words that text completes. What may be less than a word is held back.
func (w *words) add(text string) (all []string) {
	w.held += text
	for {
		n := wordEnd(w.held)
		if n == 0 {
			return all
		}
		all = append(all, w.held[:n])
		w.held = w.held[n:]
	}
}

// rest returns what is held back, at the end.
func (w *words) rest() string {
	defer func() { w.held = "" }()
	return w.held
}

// wordEnd returns where the first word of text ends, or 0 if it may go on.
func wordEnd(text string) int {
	begun := false
	count := 0
	for i, r := range text {
		space := unicode.IsSpace(r)
		if begun && space || count == maxWord {
			return i
		}
		begun = begun || !space
		count++
	}
	return 0
}
