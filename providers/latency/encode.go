package latency

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/DataDog/sketches-go/ddsketch"
)

// format is the first byte of what is shared. Another one is another program's.
const format = 1

var errUnreadable = errors.New("not in the format of this program")

// encode returns the targets of a pool in s.
func (s slot) encode(pool string) []byte {
	out := []byte{format}
	for t, one := range s {
		if t.Pool != pool {
			continue
		}
		out = appendBytes(out, []byte(t.Name))
		for _, kept := range one {
			out = appendSketch(out, kept.whole)
			out = appendSketch(out, kept.cut)
		}
	}
	return out
}

func appendSketch(out []byte, d *ddsketch.DDSketch) []byte {
	var encoded []byte
	if d != nil {
		d.Encode(&encoded, true)
	}
	return appendBytes(out, encoded)
}

func appendBytes(out, b []byte) []byte {
	return append(binary.AppendUvarint(out, uint64(len(b))), b...)
}

// decode adds what encode returned of a pool to s.
func (s slot) decode(pool string, data []byte) error {
	if len(data) == 0 || data[0] != format {
		return errUnreadable
	}
	for data = data[1:]; len(data) > 0; {
		name, rest, err := cutBytes(data)
		if err != nil {
			return err
		}
		var one series
		if data, err = one.decode(rest); err != nil {
			return err
		}
		if kept := s.of(Target{pool, string(name)}); kept != nil {
			kept.merge(&one)
		}
	}
	return nil
}

func (s *series) decode(data []byte) (rest []byte, err error) {
	for q := range s {
		for _, into := range []**ddsketch.DDSketch{&s[q].whole, &s[q].cut} {
			var encoded []byte
			if encoded, data, err = cutBytes(data); err != nil {
				return nil, err
			}
			if len(encoded) == 0 {
				continue
			}
			if *into, err = ddsketch.DecodeDDSketch(encoded, newStore, bins); err != nil {
				return nil, fmt.Errorf("%w: %w", errUnreadable, err)
			}
		}
	}
	return data, nil
}

// cutBytes takes what appendBytes appended off the front of data.
func cutBytes(data []byte) (b, rest []byte, err error) {
	n, size := binary.Uvarint(data)
	if size <= 0 {
		return nil, nil, errUnreadable
	}
	if data = data[size:]; uint64(len(data)) < n {
		return nil, nil, errUnreadable
	}
	return data[:n], data[n:], nil
}
