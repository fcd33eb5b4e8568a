package providers_test

import (
	"testing"

	"github.com/penstock-dev/penstock/providers"
)

func TestIncomplete(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		endpoint, answer string
		want             bool
	}{
		{providers.Responses, `{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}`, true},
		{providers.Responses, `{"status":"completed","output":[{"status":"incomplete"}]}`, false},
		{providers.Responses, `{"status":"incomplete"`, false},
		{providers.Responses, ``, false},
		{providers.ChatCompletions, `{"status":"incomplete","choices":[{"finish_reason":"length"}]}`, false},
	} {
		if got := providers.Incomplete(c.endpoint, []byte(c.answer)); got != c.want {
			t.Errorf("%s of %s: got %t, want %t", c.answer, c.endpoint, got, c.want)
		}
	}
}
