package latency

import (
	"strings"
	"testing"
	"time"
)

func full() slot {
	s := slot{}
	for _, name := range []string{"openai/gpt-5", "openai/gpt-5-mini"} {
		one := s.of(Target{"openai", name})
		for i := range 100 {
			one.add(Sample{
				Total: time.Duration(i+1) * time.Second, FirstToken: time.Second, Gap: time.Second, Queue: time.Millisecond,
				Cut: i%10 == 0, InputTokens: 100, OutputTokens: 50,
			})
		}
	}
	s.of(Target{"other", "other/model"}).add(Sample{Total: time.Second})
	return s
}

func TestEncode(t *testing.T) {
	t.Parallel()
	encoded := full().encode("openai")
	t.Logf("%d bytes for 2 targets", len(encoded))
	decoded := slot{}
	if err := decoded.decode("openai", encoded); err != nil {
		t.Fatal(err)
	}
	if len(decoded) != 2 {
		t.Errorf("got %d targets, want those of the pool", len(decoded))
	}
	target := Target{"openai", "openai/gpt-5"}
	got, want := summaryOf(target, decoded[target]), summaryOf(target, full()[target])
	if got.Total != want.Total || got.FirstToken != want.FirstToken || got.Queue != want.Queue {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// What another program wrote is an error, never a panic, and costs no memory.
func FuzzDecode(f *testing.F) {
	f.Add(full().encode("openai"))
	f.Add([]byte{format, 1, 'x', 4, 1, 2, 3, 4})
	f.Add([]byte{format, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(_ *testing.T, data []byte) {
		s := slot{}
		_ = s.decode("pool", data)
		for t, one := range s {
			_ = summaryOf(t, one)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	whole := full().encode("openai")
	for name, data := range map[string]string{
		"nothing": "", "another format": "\x02" + string(whole[1:]), "half": string(whole[:len(whole)/2]),
		"a length beyond": "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "text": strings.Repeat("x", 100),
	} {
		if err := (slot{}).decode("openai", []byte(data)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
