package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/postgres"
	"github.com/penstock-dev/penstock/webhooks"
	"github.com/penstock-dev/penstock/webhooks/courier"
	"github.com/penstock-dev/penstock/webhooks/delivery"
	"github.com/penstock-dev/penstock/webhooks/guard"
)

const (
	receivers    = 16
	perReceiver  = 256
	atOnce       = receivers * delivery.DefaultConcurrency
	signedBy     = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	deliveryBody = `{"id":"evt_01900000-0000-7000-8000-000000000001","object":"event","type":"job.cancelled",` +
		`"created_at":"2026-03-01T12:00:00Z","data":{"id":"01900000-0000-7000-8000-000000000001","object":"job",` +
		`"status":"cancelled","endpoint":"/v1/chat/completions","model":"sim/sim-1","usage":null,"cost_usd":null,"metadata":{},` +
		`"error":{"code":"cancelled","message":"the job was cancelled"},"created_at":"2026-03-01T12:00:00Z",` +
		`"finished_at":"2026-03-01T12:00:00Z","result_url":"http://127.0.0.1:8080/v1/jobs/01900000-0000-7000-8000-000000000001",` +
		`"result_expires_at":null}}`
)

// BenchmarkDeliveries: the events of jobs that have ended, to sixteen receivers on the
// loopback. A courier takes them from Postgres, and keeps bodies and attempts there; beside
// it a bare loop that signs and posts, alone and with as many goroutines as the courier
// has attempts under way at most.
func BenchmarkDeliveries(b *testing.B) {
	urls := make([]string, receivers)
	for i := range urls {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusNoContent)
		}))
		defer s.Close()
		urls[i] = s.URL
	}
	b.Run("courier", func(b *testing.B) { benchCourier(b, urls) })
	b.Run("bare-1", func(b *testing.B) { benchBare(b, urls, 1) })
	b.Run(fmt.Sprint("bare-", atOnce), func(b *testing.B) { benchBare(b, urls, atOnce) })
}

func benchBare(b *testing.B, urls []string, goroutines int) {
	b.Helper()
	client := &http.Client{Transport: loopback(b)}
	key, err := webhooks.ParseKey(signedBy)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n += receivers * perReceiver
		var all sync.WaitGroup
		for g := range goroutines {
			all.Go(func() {
				for i := g; i < receivers*perReceiver; i += goroutines {
					if err := signAndPost(b.Context(), client, urls[i%receivers], key); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "deliveries/s")
}

func signAndPost(ctx context.Context, client *http.Client, url string, key webhooks.Key) error {
	body := []byte(deliveryBody)
	header, err := webhooks.Sign(uuid.NewString(), time.Now(), body, key)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/json")
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}

func loopback(b *testing.B) *http.Transport {
	b.Helper()
	g, err := guard.New(guard.Config{Loopback: true, MaxIdlePerHost: delivery.MaxConcurrency})
	if err != nil {
		b.Fatal(err)
	}
	transport := g.Transport()
	b.Cleanup(transport.CloseIdleConnections)
	return transport
}

func benchCourier(b *testing.B, urls []string) {
	b.Helper()
	store, err := postgres.Open(b.Context(), postgres.Config{URL: testenv.Postgres(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	endpoints := make([]uuid.UUID, len(urls))
	for i, url := range urls {
		now := time.Now().UTC().Truncate(time.Microsecond)
		e := delivery.Endpoint{ID: uuid.Must(uuid.NewV7()), Tenant: tenantOf(i), URL: url, Version: 1, CreatedAt: now, ChangedAt: now}
		secret := delivery.Secret{ID: uuid.Must(uuid.NewV7()), Tenant: e.Tenant, Owner: e.ID, Key: signedBy, CreatedAt: now}
		if err := store.CreateEndpoint(b.Context(), e, secret); err != nil {
			b.Fatal(err)
		}
		endpoints[i] = e.ID
	}
	n := 0
	for b.Loop() {
		b.StopTimer()
		endJobs(b, store)
		b.StartTimer()
		n += receivers * perReceiver
		deliver(b, store, endpoints)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "deliveries/s")
}

// tenantOf is the tenant of a receiver: each has one.
func tenantOf(receiver int) string { return fmt.Sprint("tenant-", receiver) }

// deliver runs a courier until nothing is due any more.
func deliver(b *testing.B, store *postgres.Store, endpoints []uuid.UUID) {
	b.Helper()
	c, err := courier.New(courier.Config{
		Store: store, Sender: delivery.NewSender(loopback(b), "bench"), Holder: uuid.New(), PublicURL: "http://127.0.0.1:8080",
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := c.Run(ctx); err != nil {
			b.Error(err)
		}
	}()
	for due := endpoints; len(due) > 0; {
		<-time.After(10 * time.Millisecond)
		if due, err = store.DueAmong(ctx, endpoints, time.Now().UTC()); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	stop()
	<-over
	b.StartTimer()
}

// endJobs makes jobs that have ended, as many for each receiver.
func endJobs(b *testing.B, store *postgres.Store) {
	b.Helper()
	catalog := jobs.NewCatalog(nil, map[string][]string{"sim": {"sim-1"}}, jobs.Route{MaxAttempts: 1, Timeouts: jobs.DefaultTimeouts()})
	service := jobs.NewService(store, deaf{}, catalog)
	var all sync.WaitGroup
	for i := range receivers {
		all.Go(func() {
			var each sync.WaitGroup
			for range 8 {
				each.Go(func() {
					for range perReceiver / 8 {
						if err := endJob(b.Context(), service, tenantOf(i)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			each.Wait()
		})
	}
	all.Wait()
}

func endJob(ctx context.Context, service *jobs.Service, tenant string) error {
	made, err := service.Submit(ctx, jobs.NewJob{
		Tenant: tenant, NoDedupe: true, Request: json.RawMessage(`{"model":"sim/sim-1","messages":[{"role":"user","content":"hi"}]}`),
	})
	if err != nil {
		return err
	}
	_, err = service.Cancel(ctx, tenant, made.Job.ID)
	return err
}

// deaf is signals that nobody sends.
type deaf struct{}

func (deaf) Send(context.Context, jobs.Signal) error { return nil }

func (deaf) Listen(ctx context.Context, _ func(jobs.Signal), _ ...jobs.SignalKind) error {
	<-ctx.Done()
	return nil
}
