package queue_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue"
)

// listen starts to listen, and returns what is heard and a function that stops
// it and waits. It is stopped at the latest when t ends.
func listen(t *testing.T, signals jobs.Signals, kinds ...jobs.SignalKind) (heard <-chan jobs.Signal, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c, returned := make(chan jobs.Signal, 10_000), make(chan error, 1)
	go func() { returned <- signals.Listen(ctx, func(s jobs.Signal) { c <- s }, kinds...) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-returned; err != nil {
			t.Errorf("Listen() = %v, want nil", err)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

// send sends, as often as it takes: a sender does not wait long for a Redis that is slow.
func send(t *testing.T, signals jobs.Signals, s jobs.Signal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := signals.Send(ctx, s)
	for ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = signals.Send(ctx, s)
	}
	if err != nil {
		t.Fatalf("Send(%v) = %v", s, err)
	}
}

// connected reads the zero signals of a new connection.
func connected(t *testing.T, heard <-chan jobs.Signal, kinds ...jobs.SignalKind) {
	t.Helper()
	for range kinds {
		s := receive(t, heard, patience, "the zero signals of a connection")
		if !slices.Contains(kinds, s.Kind) || len(s.Jobs)+len(s.Executions) > 0 {
			t.Errorf("heard %v first, want a zero signal of each of %v", s, kinds)
		}
	}
}

func TestSignalsReachEveryListener(t *testing.T) {
	t.Parallel()
	url := testenv.Redis(t)
	sender := queue.NewSignals(connect(t, url), nil)
	ended, _ := listen(t, queue.NewSignals(connect(t, url), nil), jobs.SignalEnded)
	both, stop := listen(t, sender, jobs.SignalEnded, jobs.SignalStopped)
	connected(t, ended, jobs.SignalEnded)
	connected(t, both, jobs.SignalEnded, jobs.SignalStopped)

	job, execution := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	for _, s := range []jobs.Signal{
		{Kind: jobs.SignalReady},
		{Kind: jobs.SignalStopped, Executions: []uuid.UUID{execution}},
		{Kind: jobs.SignalEnded, Jobs: []uuid.UUID{job}},
	} {
		send(t, sender, s)
	}
	if s := receive(t, ended, patience, "the signal"); s.Kind != jobs.SignalEnded || !slices.Equal(s.Jobs, []uuid.UUID{job}) {
		t.Errorf("a listener for ended heard %v", s)
	}
	first, second := receive(t, both, patience, "a signal"), receive(t, both, patience, "a signal")
	if first.Kind != jobs.SignalStopped || !slices.Equal(first.Executions, []uuid.UUID{execution}) ||
		second.Kind != jobs.SignalEnded {
		t.Errorf("a listener for stopped and ended heard %v, %v", first, second)
	}
	stop()
}

// Databases of one server share its channels, and hear nothing of each other.
func TestSignalsStayInTheirDatabase(t *testing.T) {
	t.Parallel()
	mine, other := queue.NewSignals(connect(t, testenv.Redis(t)), nil), queue.NewSignals(connect(t, testenv.Redis(t)), nil)
	heard, _ := listen(t, mine, jobs.SignalEnded)
	connected(t, heard, jobs.SignalEnded)
	foreign, own := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	send(t, other, jobs.Signal{Kind: jobs.SignalEnded, Jobs: []uuid.UUID{foreign}})
	send(t, mine, jobs.Signal{Kind: jobs.SignalEnded, Jobs: []uuid.UUID{own}})
	if s := receive(t, heard, patience, "the signal"); !slices.Equal(s.Jobs, []uuid.UUID{own}) {
		t.Errorf("heard %v, want only what was sent in this database", s)
	}
}

func TestManyIDsAreSplit(t *testing.T) {
	t.Parallel()
	signals := queue.NewSignals(connect(t, testenv.Redis(t)), nil)
	heard, _ := listen(t, signals, jobs.SignalEnded)
	connected(t, heard, jobs.SignalEnded)
	want := make([]uuid.UUID, 1234)
	for i := range want {
		want[i] = uuid.Must(uuid.NewV7())
	}
	if err := signals.Send(t.Context(), jobs.Signal{Kind: jobs.SignalEnded, Jobs: want}); err != nil {
		t.Fatal(err)
	}
	var got []uuid.UUID
	for len(got) < len(want) {
		s := receive(t, heard, patience, "all ids")
		if len(s.Jobs) > 500 {
			t.Errorf("a message holds %d ids, want at most 500", len(s.Jobs))
		}
		got = append(got, s.Jobs...)
	}
	if !slices.Equal(got, want) {
		t.Error("other ids arrived than were sent")
	}
}

func TestListenReconnects(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	var reported reports
	signals := queue.NewSignals(connect(t, server.URL()), reported.add)
	heard, _ := listen(t, signals, jobs.SignalReady, jobs.SignalEnded)
	connected(t, heard, jobs.SignalReady, jobs.SignalEnded)
	server.Kill()
	server.Restart()
	connected(t, heard, jobs.SignalReady, jobs.SignalEnded)
	if len(reported.all()) == 0 {
		t.Error("nothing was reported of a lost connection")
	}
	for start := time.Now(); signals.Send(t.Context(), jobs.Signal{Kind: jobs.SignalReady}) != nil; {
		if time.Since(start) > patience {
			t.Fatal("Send() still fails long after Redis came back")
		}
	}
	if s := receive(t, heard, patience, "a signal after the restart"); s.Kind != jobs.SignalReady {
		t.Errorf("heard %v", s)
	}
}

// The other end falls silent and the connection does not break, as when a
// firewall has forgotten it.
func TestListenNoticesDeadConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := miniredis.NewMiniRedis()
		defer server.Close()
		var frozen atomic.Bool
		client := redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:1", DisableIdentity: true, DialerRetries: 1,
			Dialer: func(context.Context, string, string) (net.Conn, error) {
				conn, err := server.Dial()
				return freezable(conn, &frozen), err
			},
		})
		defer client.Close()
		heard, stop := listen(t, queue.NewSignals(client, nil), jobs.SignalReady)
		connected(t, heard, jobs.SignalReady)
		time.Sleep(time.Hour)
		if n := len(heard); n > 0 {
			t.Errorf("heard %d signals on a quiet connection", n)
		}
		frozen.Store(true)
		time.Sleep(time.Minute)
		frozen.Store(false)
		receive(t, heard, 10*time.Second, "the zero signal of a new connection")
		stop()
	})
}

// freezable returns a connection to server that drops its answers while frozen.
func freezable(server net.Conn, frozen *atomic.Bool) net.Conn {
	client, proxy := net.Pipe()
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, proxy)
	}()
	go func() {
		defer proxy.Close()
		answer := make([]byte, 4096)
		for {
			n, err := server.Read(answer)
			if err != nil {
				return
			}
			if frozen.Load() {
				continue
			}
			if _, err := proxy.Write(answer[:n]); err != nil {
				return
			}
		}
	}()
	return client
}

// silent returns a connection to someone who reads and never answers.
func silent() net.Conn {
	client, server := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, server) }()
	return client
}

// A Redis that does not answer costs a sender 250 ms once, then nothing for a
// second.
func TestSendIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:1", Protocol: 2, DisableIdentity: true, DialerRetries: 1, ContextTimeoutEnabled: true,
			Dialer: func(context.Context, string, string) (net.Conn, error) { return silent(), nil },
		})
		defer client.Close()
		signals := queue.NewSignals(client, nil)
		for i, want := range []time.Duration{250 * time.Millisecond, 0, 0} {
			start := time.Now()
			if err := signals.Send(t.Context(), jobs.Signal{Kind: jobs.SignalReady}); err == nil {
				t.Error("Send() succeeded without an answer")
			}
			if got := time.Since(start); got > want {
				t.Errorf("send %d took %v, want at most %v", i, got, want)
			}
		}
	})
}

// The client that Connect makes keeps to the bound on a real connection.
func TestSendIsBoundedOverTCP(t *testing.T) {
	t.Parallel()
	hole, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	signals := queue.NewSignals(connect(t, "redis://"+hole.Addr().String()), nil)
	start := time.Now()
	if err := signals.Send(t.Context(), jobs.Signal{Kind: jobs.SignalReady}); err == nil {
		t.Error("Send() succeeded without an answer")
	}
	// Read timeouts and retries of the client alone come to 8 s.
	if got := time.Since(start); got > 2*time.Second {
		t.Errorf("Send() took %v, want about 250ms", got)
	}
}

func TestSendPausesAfterFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := embedded(t)
		link := linked(client)
		signals := queue.NewSignals(client, nil)
		send := func() error { return signals.Send(t.Context(), jobs.Signal{Kind: jobs.SignalReady}) }
		link.cut.Store(true)
		for range 10 {
			if send() == nil {
				t.Error("Send() succeeded without Redis")
			}
		}
		if got := link.pipelines.Load(); got != 1 {
			t.Errorf("%d of 10 sends in a row were tried, want 1", got)
		}
		time.Sleep(1100 * time.Millisecond)
		_ = send()
		_ = send()
		if got := link.pipelines.Load(); got != 2 {
			t.Errorf("%d sends were tried after the first pause, want one more than 1", got)
		}
		link.cut.Store(false)
		time.Sleep(1100 * time.Millisecond)
		for range 3 {
			if err := send(); err != nil {
				t.Errorf("Send() = %v after Redis came back", err)
			}
		}
	})
}

// The caller's own end says nothing about Redis.
func TestSendOfEndedCallerDoesNotPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signals := queue.NewSignals(embedded(t), nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = signals.Send(ctx, jobs.Signal{Kind: jobs.SignalReady})
		if err := signals.Send(t.Context(), jobs.Signal{Kind: jobs.SignalReady}); err != nil {
			t.Errorf("Send() = %v", err)
		}
	})
}

// A listener that is slow, even one that waits for Redis itself, holds nobody
// up, and learns that it has missed something.
func TestSlowListenerBlocksNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := embedded(t)
		signals := queue.NewSignals(client, nil)
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan error, 1)
		entered, release := make(chan struct{}, 10_000), make(chan struct{})
		var heard []jobs.Signal
		go func() {
			returned <- signals.Listen(ctx, func(s jobs.Signal) {
				heard = append(heard, s)
				entered <- struct{}{}
				<-release
				client.Ping(ctx)
			}, jobs.SignalEnded)
		}()
		receive(t, entered, patience, "the zero signal of the connection")
		for range 3000 {
			s := jobs.Signal{Kind: jobs.SignalEnded, Jobs: []uuid.UUID{uuid.Must(uuid.NewV7())}}
			if err := signals.Send(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		cancel()
		if err := <-returned; err != nil {
			t.Errorf("Listen() = %v", err)
		}
		if n := len(heard); n < 2 || n > 1100 {
			t.Errorf("heard %d signals, want no more than a mailbox holds", n)
		}
		if heard[1].Jobs != nil {
			t.Errorf("the first signal after the overflow is %v, want a zero one", heard[1])
		}
	})
}

func TestUnreadableSignalCountsAsZero(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := embedded(t)
		var reported reports
		heard, _ := listen(t, queue.NewSignals(client, reported.add), jobs.SignalEnded)
		connected(t, heard, jobs.SignalEnded)
		messages := []string{"{", `{"jobs":["01900000-0000-7000-8000-000000000000"],"executions":5}`}
		for _, message := range messages { // the second can be read in part
			if err := client.Publish(t.Context(), "penstock:0:signal:ended", message).Err(); err != nil {
				t.Fatal(err)
			}
			connected(t, heard, jobs.SignalEnded)
		}
		if len(reported.all()) != len(messages) {
			t.Errorf("reported %v, want an error for each", reported.all())
		}
	})
}

func TestListenToNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := queue.NewSignals(nil, nil).Listen(ctx, nil); err != nil {
		t.Errorf("Listen() = %v, want nil", err)
	}
}
