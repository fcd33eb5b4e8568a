package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/internal/memnet"
)

func TestServesHTTPInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := memnet.Listen()
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(time.Hour)
				_, _ = io.WriteString(w, "late")
			})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()

		client := &http.Client{Transport: &http.Transport{DialContext: listener.DialContext}}
		defer client.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://memory/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); string(body) != "late" || err != nil {
			t.Errorf("body %q, error %v", body, err)
		}
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
}

func TestDialEndsWithItsContextAndWithTheListener(t *testing.T) {
	t.Parallel()
	listener := memnet.Listen()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := listener.DialContext(ctx, "tcp", "x:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled dial: got %v", err)
	}
	_ = listener.Close()
	_ = listener.Close()
	if _, err := listener.DialContext(t.Context(), "tcp", "x:1"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial after close: got %v", err)
	}
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: got %v", err)
	}
}
