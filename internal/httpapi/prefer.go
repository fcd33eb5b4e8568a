package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is how long one request may wait for a job. Asking for more is
// asking for this.
const maxWait = 60 * time.Second

// preferredWait returns N of Prefer: wait=N (RFC 7240), at most 60 s. As the
// RFC has it, of several the first counts, and one that makes no sense is as if
// it were not there.
func preferredWait(h http.Header) time.Duration {
	for preference := range strings.SplitSeq(strings.Join(h.Values("Prefer"), ","), ",") {
		token, _, _ := strings.Cut(preference, ";")
		name, value, _ := strings.Cut(token, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 32)
		if err != nil {
			return 0
		}
		return min(time.Duration(seconds)*time.Second, maxWait)
	}
	return 0
}
