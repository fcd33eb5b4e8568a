package testenv

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy is the network between a process and a server, for tests that cut it.
// It passes TCP on as it is. Its methods may be called from any goroutine. It
// ends with its test.
type Proxy struct {
	target   string
	listener net.Listener
	copying  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	cut   bool
	// open is closed while bytes pass, so that waiting for it is waiting for the
	// end of a stall.
	open    chan struct{}
	stalled bool
	closed  bool
}

// NewProxy starts a proxy on a free loopback port to target, a host:port.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("start a proxy to %s: %v", target, err)
	}
	p := &Proxy{target: target, listener: listener, conns: map[net.Conn]struct{}{}, open: make(chan struct{})}
	close(p.open)
	p.copying.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// Addr returns where the proxy listens, as host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL returns the server's URL with the proxy's address in place of its own.
func (p *Proxy) URL(server *url.URL) string {
	through := *server
	through.Host = p.Addr()
	return through.String()
}

// Reset breaks the open connections, as a rebooting router does. New ones pass.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breakAll()
}

// Cut breaks the open connections, and every new one, until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.breakAll()
}

// Stall lets no byte pass until Heal, and nobody is told: connections stay open,
// new ones are accepted, what is sent arrives afterwards.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stalled && !p.closed {
		p.stalled, p.open = true, make(chan struct{})
	}
}

// Heal ends Cut and Stall.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	if p.stalled {
		p.stalled = false
		close(p.open)
	}
}

func (p *Proxy) close() {
	p.Heal()
	p.mu.Lock()
	p.closed = true
	_ = p.listener.Close()
	p.breakAll()
	p.mu.Unlock()
	p.copying.Wait()
}

// breakAll resets what is open: the peer sees an error, not an orderly end.
func (p *Proxy) breakAll() {
	for conn := range p.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	clear(p.conns)
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		if p.keep(conn) {
			p.copying.Go(func() { p.serve(conn) })
		}
	}
}

// keep registers a connection, or breaks it when nothing may pass.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = struct{}{}
	if p.cut || p.closed {
		p.breakAll()
		return false
	}
	return true
}

func (p *Proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	_ = conn.Close()
}

// serve joins a connection to one of its own to the target.
func (p *Proxy) serve(from net.Conn) {
	defer p.drop(from)
	p.pass()
	to, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil || !p.keep(to) {
		return
	}
	defer p.drop(to)
	var back sync.WaitGroup
	back.Go(func() { p.copy(from, to) })
	p.copy(to, from)
	back.Wait()
}

// pass waits for the end of a stall.
func (p *Proxy) pass() {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	<-open
}

// copy passes bytes on until one side ends, and then ends the other.
func (p *Proxy) copy(to, from net.Conn) {
	defer p.drop(to)
	defer p.drop(from)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.pass()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
