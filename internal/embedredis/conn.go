package embedredis

import (
	"net"
	"sync"
	"time"
)

// conn is a pipe's end whose Write does not wait for the reader. A pipe holds
// nothing, so without it client and server would wait for each other for ever:
// the client writes a whole pipeline before it reads, and the server answers
// each command before it reads the next. What is held is what one caller has
// sent and not yet had answered.
type conn struct {
	net.Conn
	// filled holds a token when held may have something in it.
	filled chan struct{}
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	held []byte
	err  error
}

func newConn(pipe net.Conn) *conn {
	c := &conn{Conn: pipe, filled: make(chan struct{}, 1), closed: make(chan struct{})}
	go c.pump()
	return c
}

// Write returns at once. An error may belong to an earlier Write.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.held = append(c.held, b...)
	select {
	case c.filled <- struct{}{}:
	default:
	}
	return len(b), nil
}

// SetWriteDeadline does nothing: Write does not wait.
func (*conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is SetReadDeadline.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// Close drops what has not been read yet.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// pump writes to the pipe until it or the connection is closed.
func (c *conn) pump() {
	for {
		select {
		case <-c.closed:
			return
		case <-c.filled:
		}
		if err := c.flush(); err != nil {
			return
		}
	}
}

func (c *conn) flush() error {
	c.mu.Lock()
	b := c.held
	c.held = nil
	c.mu.Unlock()
	_, err := c.Conn.Write(b)
	if err != nil {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
	}
	return err
}
