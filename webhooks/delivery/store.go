package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Store keeps endpoints, deliveries and what became of them. What a store is, is what
// storage/storagetest says; this is its outline. Every method is one transaction unless
// it says otherwise, and safe for use by many goroutines. Times are arguments, in UTC
// with microseconds; only leases use the store's own clock. Failure to reach the
// database is a *[jobs.Error] with code [jobs.CodeStoreUnavailable].
//
// Deliveries of a job's end are made in the transaction that ends it: one for each of
// the tenant's endpoints that [Endpoint.Wants] the event, and one for the job's own
// webhook. Those to a disabled endpoint are [StatusSkipped] from the start; the others are
// due when the first entry of the endpoint's schedule has passed since the event. Ids of
// events are made by [NewEventID] of when they were written, the job's end: lists of
// deliveries are in the order of their ids.
//
// What is deleted with a job or an endpoint is not sent, and seen no more.
type Store interface {
	EndpointStore
	CourierStore
}

// MaxEndpoints is how many endpoints a tenant has at most, those for the webhooks of its
// jobs not counted.
const MaxEndpoints = 100

// MaxSecrets is how many secrets of an owner sign at a time: the current one, and those
// that have been replaced and have not expired.
const MaxSecrets = 5

// What a store may answer, beside [jobs.ErrNotFound].
var (
	// ErrTooMany: the tenant has [MaxEndpoints] endpoints.
	ErrTooMany = errors.New("the tenant has as many endpoints as there may be")
	// ErrChanged: somebody else has changed the endpoint since it was read.
	ErrChanged = errors.New("the endpoint was changed meanwhile")
	// ErrDisabled: the endpoint is disabled, and nothing is sent to it.
	ErrDisabled = errors.New("the endpoint is disabled")
	// ErrSecretKeyMissing: a store that seals has no key to keep a [Secret] under.
	ErrSecretKeyMissing = errors.New("there is no key to keep secrets of webhooks under")
)

// EndpointStore is what [Service] needs. What belongs to another tenant is
// [jobs.ErrNotFound].
type EndpointStore interface {
	// CreateEndpoint keeps e with its first secret, or is [ErrTooMany].
	CreateEndpoint(ctx context.Context, e Endpoint, s Secret) error
	// EnsureEndpoint keeps e, which is PerJob, unless it is there.
	EnsureEndpoint(ctx context.Context, e Endpoint) error
	Endpoint(ctx context.Context, tenant string, id uuid.UUID) (Watched, error)
	// Endpoints lists a tenant's, newest first, after the given one.
	Endpoints(ctx context.Context, tenant string, before uuid.UUID, limit int) ([]Watched, error)
	// UpdateEndpoint replaces all but ID, Tenant, PerJob and CreatedAt, if Version is
	// still e's, and counts it up; else [ErrChanged]. One that was disabled and no longer
	// is starts with a zero [State].
	UpdateEndpoint(ctx context.Context, e Endpoint) error
	// DeleteEndpoint removes an endpoint with its secrets, deliveries and replays. Rows of
	// deliveries may go in later transactions of [CourierStore].Sweep.
	DeleteEndpoint(ctx context.Context, tenant string, id uuid.UUID) error
	// RotateSecret makes s its owner's secret; those before it sign on until the given
	// time, at most, and of more than [MaxSecrets] the oldest go at once. It returns how
	// many sign besides s when s was created. The owner is an endpoint of the tenant's,
	// or [TenantOwner].
	RotateSecret(ctx context.Context, s Secret, until time.Time) (int, error)
	// HasSecret reports whether the owner has a secret that has not expired by now.
	HasSecret(ctx context.Context, tenant string, owner uuid.UUID, now time.Time) (bool, error)

	// Deliveries lists some, newest first, and Delivery returns one with its attempts,
	// oldest first. DueAt is zero unless it is pending.
	Deliveries(ctx context.Context, q Query) ([]Delivery, error)
	Delivery(ctx context.Context, tenant string, id uuid.UUID) (Delivery, []Record, error)
	// Redeliver makes a delivery due at the given time, at the first step of its
	// schedule, with [TriggerRedeliver], also one that is pending; [ErrDisabled] if its
	// endpoint is disabled.
	Redeliver(ctx context.Context, tenant string, id uuid.UUID, at time.Time) (Delivery, error)
	// Tell keeps an event and makes its deliveries; one that is there already is not told
	// again. It returns the deliveries, those to disabled endpoints included, in the
	// order of their ids.
	Tell(ctx context.Context, e Event) ([]Delivery, error)

	// StartReplay keeps r, running, and counts what it selects; [ErrDisabled] if its
	// endpoint is.
	StartReplay(ctx context.Context, r Replay) (Replay, error)
	ReplayByID(ctx context.Context, tenant string, id uuid.UUID) (Replay, error)
	// Replays lists those of an endpoint, newest first, at most 100.
	Replays(ctx context.Context, tenant string, endpoint uuid.UUID) ([]Replay, error)
	// CancelReplay cancels a running one: nothing of it is sent any more but what is on
	// its way. One that has ended stays as it is.
	CancelReplay(ctx context.Context, tenant string, id uuid.UUID, at time.Time) (Replay, error)
}

// CourierStore is what couriers need.
type CourierStore interface {
	// LeaseEndpoints gives holder up to limit endpoints that are enabled, have something
	// due at now, need not be left alone until later, and are held by nobody. Each is
	// held for its timeout and [LeaseMargin] from the store's now.
	LeaseEndpoints(ctx context.Context, holder uuid.UUID, now time.Time, limit int) ([]Leased, error)
	// RenewEndpoints holds those of ids that holder still holds, are there and enabled,
	// for their time anew, and returns them as they are now. One whose time is over is
	// not held any more. No lease becomes shorter, though the timeout may have: attempts
	// begun before may still be under way.
	RenewEndpoints(ctx context.Context, holder uuid.UUID, ids []uuid.UUID, now time.Time) ([]Leased, error)
	// ReleaseEndpoints gives up those that holder holds.
	ReleaseEndpoints(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) error
	// NextDue returns when the first delivery of an enabled endpoint is due that nobody
	// holds and that is not left alone until later, after now: zero if there is none.
	NextDue(ctx context.Context, now time.Time) (time.Time, error)
	// DueAmong returns those of the endpoints that have something due at now, whoever
	// holds them. It is asked often, and cheap.
	DueAmong(ctx context.Context, endpoints []uuid.UUID, now time.Time) ([]uuid.UUID, error)
	// Due lists up to limit of an endpoint's deliveries that are due at now: those that
	// are not [Trigger.Bulk] first, then the longest due, then by id. Nothing is due of an
	// endpoint that is disabled.
	Due(ctx context.Context, endpoint uuid.UUID, now time.Time, limit int) ([]Due, error)
	// EndedJobs returns the jobs of any tenant, as [jobs.ReadStore] does, those that have
	// ended and are there; Result is left out unless results says so.
	EndedJobs(ctx context.Context, ids []uuid.UUID, results bool) (map[uuid.UUID]jobs.Job, error)
	// KeepBodies keeps the bodies of pending deliveries that have none. It returns those
	// that were there before, which are what is to be sent.
	KeepBodies(ctx context.Context, bodies []Body) (map[uuid.UUID][]byte, error)
	// Record keeps attempts, and moves their deliveries on. Only a pending delivery is
	// moved on, by the attempt whose N is its next, if it is pending for that attempt's
	// Trigger still: one that was redelivered meanwhile stays due, though the attempt
	// counts. An attempt that says delivered decides in any case, the first time that it
	// is recorded. One of a delivery that is not there any more is dropped.
	Record(ctx context.Context, records []Record) error
	// SaveState keeps how an endpoint fares, if holder holds it, with what that leads to;
	// else it does nothing.
	SaveState(ctx context.Context, holder uuid.UUID, c StateChange) error
	// Sweep does up to limit pieces of what is left to do: what is pending of disabled
	// endpoints becomes skipped, replays of enabled ones go on, deleted endpoints'
	// deliveries go, expired secrets too. It returns how many it did; zero: nothing is
	// left for now. It may take several transactions.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
	// ForgetDeliveries deletes finished deliveries, with bodies and attempts, whose
	// event was written before the given time, those events that are of no job, and
	// replays that ended. A store that keeps by the week may keep them for a week
	// longer. It may take several transactions.
	ForgetDeliveries(ctx context.Context, before time.Time) error
}

// LeaseMargin is how much longer than its timeout an endpoint is held, at least: an
// attempt that began while it was held for its timeout has ended when the lease has.
const LeaseMargin = 15 * time.Second

// Retention is how long deliveries, attempts and events of no job are kept.
const Retention = 30 * 24 * time.Hour

// Watched is an endpoint and how it fares.
type Watched struct {
	Endpoint
	State

	// PublicKey is that of its current [Secret].
	PublicKey string
}

// Leased is an endpoint that a courier holds, with the secrets that sign: its own, or
// its tenant's if it is PerJob, the newest first.
type Leased struct {
	Watched

	Secrets []Secret
}

// StateChange is a new state and what follows from it.
type StateChange struct {
	Endpoint uuid.UUID
	State    State
	// Disable, if not empty, disables it. What is pending is skipped by Sweep.
	Disable Reason
	// Opened says that the breaker has just opened: what waits for its next attempt is
	// made due as it was first, for once the breaker lets pass again the oldest goes
	// first.
	Opened bool
	At     time.Time
	// Events are told in the same transaction.
	Events []Event
}

// Secret signs what is sent. Owner is an endpoint, or [TenantOwner] for the webhooks of
// jobs.
type Secret struct {
	ID     uuid.UUID
	Tenant string
	Owner  uuid.UUID
	// Key is in one of the forms of [webhooks.ParseKey]; sealed when it is kept, with
	// the key that KeyID names.
	Key   string
	KeyID uuid.UUID
	// PublicKey verifies what Key signs, if that is a private key; else empty. It is kept
	// in plain.
	PublicKey string
	CreatedAt time.Time
	// ExpiresAt is when it signs no more; zero: it is the current one.
	ExpiresAt time.Time
}

// MaxReplayPending is how many deliveries of one replay are pending at once, at most.
const MaxReplayPending = 5000

// Query selects deliveries of an endpoint, of a job, or of both. Other zero fields select
// all.
type Query struct {
	Tenant   string
	Endpoint uuid.UUID
	Job      uuid.UUID
	Status   Status
	Type     string
	// Before is the id after which to go on, in the order of the list.
	Before uuid.UUID
	Limit  int
}

// owners is the namespace of the ids made here.
var owners = uuid.MustParse("6f7d2a0e-0c1b-5b53-9a7e-2f3c3d2b9d51")

// TenantOwner is the owner of the secret that signs what goes to the webhooks of a
// tenant's jobs.
func TenantOwner(tenant string) uuid.UUID { return uuid.NewSHA1(owners, []byte("tenant\x00"+tenant)) }

// OriginID is the id of the endpoint that stands for the webhooks of a tenant's jobs at
// one origin, such as https://example.com.
func OriginID(tenant, origin string) uuid.UUID {
	return uuid.NewSHA1(owners, []byte("origin\x00"+tenant+"\x00"+origin))
}
