package promises

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/penstock-dev/penstock/webhooks"
)

// receiver takes webhooks, and answers them as the script says.
type receiver struct {
	server *httptest.Server
	status atomic.Int64
	came   chan answer
}

func receive() *receiver {
	r := &receiver{came: make(chan answer, 1000)}
	r.status.Store(http.StatusNoContent)
	r.server = httptest.NewServer(http.HandlerFunc(r.take))
	return r
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	status := int(r.status.Load())
	select {
	case r.came <- answer{status: status, header: req.Header, body: string(body)}:
		w.WriteHeader(status)
	default:
		w.WriteHeader(http.StatusInsufficientStorage)
	}
}

func answers(ts *testscript.TestScript, _ bool, args []string) {
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	of(ts).receiver.status.Store(int64(status))
}

func arrives(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	select {
	case s.last = <-s.receiver.came:
	case <-time.After(patience):
		ts.Fatalf("no webhook came within %v\n%s", patience, s.said)
	}
	match(ts, false, "type", lookUp(ts, "type"), regexp.QuoteMeta(args[0]))
	for _, text := range args[1:] {
		key, err := webhooks.ParseKey(text)
		ts.Check(err)
		if err := webhooks.Verify(s.last.header, []byte(s.last.body), time.Now(), key); err != nil {
			ts.Fatalf("%v\n%v\n%s", err, s.last.header, s.last.body)
		}
	}
}

func becomes(ts *testscript.TestScript, _ bool, args []string) {
	want, err := regexp.Compile("^(?:" + args[2] + ")$")
	ts.Check(err)
	for until := time.Now().Add(patience); time.Now().Before(until); <-time.After(20 * time.Millisecond) {
		ask(ts, false, []string{http.MethodGet, args[0]})
		if of(ts).last.status == http.StatusOK && want.MatchString(lookUp(ts, args[1])) {
			return
		}
	}
	ts.Fatalf("%s does not become %s within %v\n%s", args[1], args[2], patience, of(ts).last.body)
}
