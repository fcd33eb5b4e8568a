package delivery_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/internal/memnet"
	"github.com/penstock-dev/penstock/webhooks"
	"github.com/penstock-dev/penstock/webhooks/delivery"
	"github.com/penstock-dev/penstock/webhooks/guard"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func message(t *testing.T, url string) delivery.Message {
	t.Helper()
	key, err := webhooks.ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return delivery.Message{
		ID: "evt_1", URL: url, Body: []byte(`{"type":"job.succeeded"}`), Keys: []webhooks.Key{key}, Timeout: 15 * time.Second,
	}
}

// receiver is an endpoint inside a bubble.
func receiver(t *testing.T, handle http.HandlerFunc) *delivery.Sender {
	t.Helper()
	l := memnet.Listen()
	server := &http.Server{Handler: handle, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	transport := &http.Transport{DialContext: l.DialContext}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-done
	})
	return delivery.NewSender(transport, "1.2")
}

// hang answers nothing until the sender has gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice
	<-r.Context().Done()
}

func TestEachAttemptIsSignedAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stamps []string
		m := message(t, "http://hooks.example.com/a")
		m.Header = http.Header{"X-Team": {"billing"}, "Webhook-Id": {"forged"}, "Content-Type": {"text/plain"}}
		s := receiver(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if err := webhooks.Verify(r.Header, body, time.Now(), m.Keys...); err != nil {
				t.Error(err)
			}
			if r.Header.Get("webhook-id") != "evt_1" || r.Header.Get("X-Team") != "billing" || !bytes.Equal(body, m.Body) ||
				r.Header.Get("Content-Type") != "application/json" || r.UserAgent() != "Penstock-Webhooks/1.2" {
				t.Errorf("got %v with %s", r.Header, body)
			}
			stamps = append(stamps, r.Header.Get("webhook-timestamp"))
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, "thanks")
		})
		for range 2 {
			a := s.Send(t.Context(), m)
			if a.Verdict != delivery.Delivered || a.Failure != "" || a.Status != 202 || string(a.Answer) != "thanks" || a.RemoteAddr == "" {
				t.Errorf("got %+v, want it delivered", a)
			}
			time.Sleep(time.Hour)
		}
		if len(stamps) != 2 || stamps[0] == stamps[1] {
			t.Errorf("timestamps %v, want two", stamps)
		}
	})
}

func TestOnly2xxIsSuccess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status  int
		after   string
		verdict delivery.Verdict
		failure delivery.Failure
		rest    time.Duration
	}{
		{200, "", delivery.Delivered, "", 0},
		{204, "", delivery.Delivered, "", 0},
		{299, "", delivery.Delivered, "", 0},
		{301, "", delivery.Failed, delivery.FailureRedirect, 0},
		{302, "", delivery.Failed, delivery.FailureRedirect, 0},
		{304, "", delivery.Failed, delivery.FailureRedirect, 0},
		{307, "", delivery.Failed, delivery.FailureRedirect, 0},
		{308, "", delivery.Failed, delivery.FailureRedirect, 0},
		{400, "60", delivery.Failed, delivery.FailureStatus, 0},
		{404, "", delivery.Failed, delivery.FailureStatus, 0},
		{410, "", delivery.Gone, delivery.FailureStatus, 0},
		{413, "", delivery.TooLarge, delivery.FailureStatus, 0},
		{429, "", delivery.Failed, delivery.FailureStatus, 0},
		{429, "60", delivery.Paused, delivery.FailureStatus, time.Minute},
		{429, "-60", delivery.Failed, delivery.FailureStatus, 0},
		{429, "soon", delivery.Failed, delivery.FailureStatus, 0},
		{503, "Sat, 01 Jan 2000 00:02:00 GMT", delivery.Paused, delivery.FailureStatus, 2 * time.Minute},
		{503, "9999999", delivery.Paused, delivery.FailureStatus, 24 * time.Hour},
		{500, "60", delivery.Failed, delivery.FailureStatus, 0},
	} {
		t.Run(fmt.Sprint(c.status, c.after), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := receiver(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/a" {
						t.Errorf("a redirect was followed to %s", r.URL)
					}
					w.Header().Set("Location", "/elsewhere")
					if c.after != "" {
						w.Header().Set("Retry-After", c.after)
					}
					w.WriteHeader(c.status)
				})
				a := s.Send(t.Context(), message(t, "http://hooks.example.com/a"))
				if a.Verdict != c.verdict || a.Failure != c.failure || a.Status != c.status || a.RetryAfter != c.rest {
					t.Errorf("got %+v, want %+v", a, c)
				}
			})
		})
	}
}

func TestAnEndpointThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := receiver(t, hang)
		a := s.Send(t.Context(), message(t, "http://hooks.example.com/"))
		if a.Verdict != delivery.Failed || a.Failure != delivery.FailureTimeout || a.Latency != 15*time.Second {
			t.Errorf("got %+v, want a timeout after 15s", a)
		}
	})
}

// The status decides; a body that never ends costs a second and no more.
func TestAnAnswerThatNeverEndsIsCutOff(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]string{"slow": "x", "huge": strings.Repeat("x", 64<<10)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := receiver(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					for r.Context().Err() == nil {
						if _, err := io.WriteString(w, piece); err != nil || http.NewResponseController(w).Flush() != nil {
							return
						}
						select {
						case <-time.After(time.Second):
						case <-r.Context().Done():
						}
					}
				})
				began := time.Now()
				a := s.Send(t.Context(), message(t, "http://hooks.example.com/"))
				if a.Verdict != delivery.Delivered || a.Latency > time.Second || len(a.Answer) > delivery.MaxAnswer {
					t.Errorf("got %+v, want it delivered at once", a)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("took %v, want a second after the header at most", took)
				}
			})
		})
	}
}

func TestAnAttemptThatIsStoppedIsBroken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := receiver(t, hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if a := s.Send(ctx, message(t, "http://hooks.example.com/")); a.Verdict != delivery.Broken {
			t.Errorf("got %+v, want it broken", a)
		}
	})
}

// What fails before there is an answer is retried, and told apart for people.
func TestFailuresWithoutAnAnswerHaveAClass(t *testing.T) {
	t.Parallel()
	g, err := guard.New(guard.Config{Loopback: true, PlainHTTP: true, Resolver: nowhere})
	if err != nil {
		t.Fatal(err)
	}
	transport := g.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	breaks := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(breaks.Close)
	closed := httptest.NewServer(nil)
	closed.Close()

	s := delivery.NewSender(transport, "test")
	for url, want := range map[string]delivery.Failure{
		"https://10.0.0.1/":                delivery.FailureRefused,
		"http://nowhere.example.com/":      delivery.FailureDNS,
		closed.URL:                         delivery.FailureConnect,
		secure.URL:                         delivery.FailureTLS,
		"https" + breaks.URL[len("http"):]: delivery.FailureTLS,
		breaks.URL:                         delivery.FailureBroken,
		"http://a b/":                      delivery.FailureRequest,
	} {
		if a := s.Send(t.Context(), message(t, url)); a.Verdict != delivery.Failed || a.Failure != want || a.Status != 0 {
			t.Errorf("%s: got %+v, want %s", url, a, want)
		}
	}
}

// nowhere is a resolver whose server cannot be asked.
var nowhere = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
	return nil, io.ErrUnexpectedEOF
}}

var quiet = log.New(io.Discard, "", 0)
