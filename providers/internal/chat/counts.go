package chat

import "encoding/json"

// Counts are counts of tokens that a stream tells several times. They are
// cumulative: one that shrinks, as some servers repeat what they do not know as
// zero, is passed over. The zero value has none.
type Counts struct{ members Object }

// Add takes in an object of counts. What is not one says nothing.
func (c *Counts) Add(raw json.RawMessage) {
	if IsNull(raw) {
		return
	}
	said, err := ReadObject(raw)
	if err != nil {
		return
	}
	if c.members == nil {
		c.members = Object{}
	}
	for name, value := range said {
		before, _ := Count(c.members[name])
		if now, ok := Count(value); ok && now < before || IsNull(value) {
			continue
		}
		c.members[name] = value
	}
}

// Count is the count of that name; ok is false when there is none.
func (c *Counts) Count(name string) (n int64, ok bool) { return Count(c.members[name]) }

// Raw is the member of that name, whatever it is.
func (c *Counts) Raw(name string) json.RawMessage { return c.members[name] }

// All are the members told so far, whatever they are; nil if there are none.
func (c *Counts) All() Object { return c.members }
