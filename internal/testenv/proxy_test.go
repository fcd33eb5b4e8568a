package testenv

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo starts a server that sends back every line.
func echo(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

type line struct {
	net.Conn
	*bufio.Reader
}

func (l line) Read(b []byte) (int, error) { return l.Reader.Read(b) }

func dial(t *testing.T, p *Proxy) line {
	t.Helper()
	l, err := connect(t, p)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func connect(t *testing.T, p *Proxy) (line, error) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	if err != nil {
		return line{}, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	return line{conn, bufio.NewReader(conn)}, nil
}

// say sends a line and waits for it to come back.
func (l line) say(t *testing.T, within time.Duration) error {
	t.Helper()
	if err := l.SetDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("hello\n")); err != nil {
		return err
	}
	_, err := l.ReadString('\n')
	return err
}

func TestProxyCut(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	open := dial(t, p)
	if err := open.say(t, patience); err != nil {
		t.Fatalf("through a whole proxy: %v", err)
	}
	p.Cut()
	if err := open.say(t, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an open connection through a cut: got %v, want it broken", err)
	}
	late, err := connect(t, p) // may find out already
	if err == nil {
		err = late.say(t, patience)
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a new connection through a cut: got %v, want it broken", err)
	}
	p.Heal()
	if err := dial(t, p).say(t, patience); err != nil {
		t.Errorf("after Heal: %v", err)
	}
}

func TestProxyReset(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	open := dial(t, p)
	if err := open.say(t, patience); err != nil {
		t.Fatal(err)
	}
	p.Reset()
	if err := open.say(t, patience); err == nil {
		t.Error("an open connection outlived Reset")
	}
	if err := dial(t, p).say(t, patience); err != nil {
		t.Errorf("a new connection after Reset: %v", err)
	}
}

func TestProxyStall(t *testing.T) {
	t.Parallel()
	p := NewProxy(t, echo(t))
	open := dial(t, p)
	if err := open.say(t, patience); err != nil {
		t.Fatal(err)
	}
	p.Stall()
	late := dial(t, p)
	for what, conn := range map[string]line{"open": open, "new": late} {
		if err := conn.say(t, 20*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s connection through a stall: got %v, want silence", what, err)
		}
	}
	p.Heal()
	for what, conn := range map[string]line{"open": open, "new": late} {
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if got, err := conn.ReadString('\n'); err != nil || got != "hello\n" {
			t.Errorf("%s connection after the stall: got %q, %v, want what was sent during it", what, got, err)
		}
	}
}
