package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// Lanes tells of lanes, and does to them what an operator wants.
type Lanes interface {
	// List tells how every target of the configuration is, in the order of names.
	List(ctx context.Context) ([]Lane, error)
	// Pause, Drain and Resume act on a target, or on a whole pool. What is not there
	// is a *[jobs.Error].
	Pause(ctx context.Context, n LaneName) error
	Drain(ctx context.Context, n LaneName) error
	Resume(ctx context.Context, n LaneName) error
	// SetLimits replaces limits of a pool until it is given nil.
	SetLimits(ctx context.Context, pool string, limits *LimitsWanted) error
}

// LaneName names one target, as provider/model, or a quota pool: one of the two.
type LaneName struct {
	Target string `json:"target"`
	Pool   string `json:"pool"`
}

// LaneLimits are those of a pool; zero: none.
type LaneLimits struct {
	RequestsPerMinute     int64
	InputTokensPerMinute  int64
	OutputTokensPerMinute int64
	Concurrency           int64
}

// LimitsWanted are what an operator wants of a pool; zero: none, nil: as the
// configuration has it.
type LimitsWanted struct {
	RequestsPerMinute     *int64 `json:"rpm"`
	InputTokensPerMinute  *int64 `json:"itpm"`
	OutputTokensPerMinute *int64 `json:"otpm"`
	Concurrency           *int64 `json:"concurrency"`
}

// Lane is how a target is.
type Lane struct {
	LaneName
	// State is one of openapi.yaml's.
	State string
	// For is how long it stays so at least; zero: nobody knows.
	For time.Duration
	// Limits are those in force. ByOperator says that they are not the
	// configuration's; Learned are the provider's own, which count too.
	Limits, Learned LaneLimits
	ByOperator      bool
	// Left is how much of the next minute's is left; [math.MaxInt64]: there is no
	// limit.
	Left LaneLimits
	// Running counts its calls under way, RunningInPool those of its pool.
	Running, RunningInPool int64
	// Openings is how often in a row its breaker opened last, Normal the share of
	// calls that fail on a usual day.
	Openings int
	Normal   float64
	// Good, Bad and Other count the calls of the last minute.
	Good, Bad, Other int64
	// Total, FirstToken and Queue are how long the calls of the last minutes took, and
	// executions waited before them.
	Total, FirstToken, Queue Percentiles
}

// Percentiles of a time; zero: nothing is known.
type Percentiles struct{ P50, P95, P99 time.Duration }

type laneJSON struct {
	Object  string  `json:"object"`
	Target  string  `json:"target"`
	Pool    string  `json:"pool"`
	State   string  `json:"state"`
	Reason  string  `json:"reason"`
	OpensIn *string `json:"opens_in"`
	// Limits are by what they limit.
	Limits        map[string]limitJSON `json:"limits"`
	Running       int64                `json:"running"`
	RunningInPool int64                `json:"running_in_pool"`
	Breaker       breakerJSON          `json:"breaker"`
	Latency       latencyJSON          `json:"latency"`
}

// latencyJSON is in seconds.
type latencyJSON struct {
	Total      *percentilesJSON `json:"total"`
	FirstToken *percentilesJSON `json:"first_token"`
	Queue      *percentilesJSON `json:"queue"`
}

type percentilesJSON struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

func (p Percentiles) json() *percentilesJSON {
	if p == (Percentiles{}) {
		return nil
	}
	seconds := func(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
	return &percentilesJSON{seconds(p.P50), seconds(p.P95), seconds(p.P99)}
}

type limitJSON struct {
	Limit  int64  `json:"limit"`
	Source string `json:"source"`
	Left   *int64 `json:"left"`
}

type breakerJSON struct {
	Openings   int            `json:"openings"`
	Normal     float64        `json:"normal_failure_rate"`
	LastMinute lastMinuteJSON `json:"last_minute"`
}

type lastMinuteJSON struct {
	Good  int64 `json:"good"`
	Bad   int64 `json:"bad"`
	Other int64 `json:"other"`
}

// reasons say in a sentence what each state means.
var reasons = map[string]string{
	"open":         "calls are let through",
	"rate_limited": "a limit is used up, or the provider asked to wait",
	"breaker_open": "calls to it failed; the next is a probe, when the time is over",
	"probing":      "one call tries it out",
	"recovering":   "it works again; calls are let through by and by",
	"full":         "as many calls as may be are under way",
	"paused":       "an operator paused it; jobs wait for it",
	"drained":      "an operator drained it; jobs go elsewhere",
	"unknown":      "Redis has lost it and the store cannot be read; nothing is let through",
}

func (a *API) lanes(x *exchange) error {
	if err := onMachine(x.Request()); err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	all, err := a.cfg.Lanes.List(ctx)
	if err != nil {
		return err
	}
	answer := struct {
		Data []laneJSON `json:"data"`
	}{make([]laneJSON, len(all))}
	for i, l := range all {
		answer.Data[i] = l.json()
	}
	x.header().Set("Cache-Control", "no-store")
	return writeJSON(x, http.StatusOK, answer)
}

func (l Lane) json() laneJSON {
	j := laneJSON{
		Object: "lane", Target: l.Target, Pool: l.Pool, State: l.State, Reason: reasons[l.State],
		Limits: map[string]limitJSON{}, Running: l.Running, RunningInPool: l.RunningInPool,
		Breaker: breakerJSON{l.Openings, math.Round(l.Normal*1000) / 1000, lastMinuteJSON{l.Good, l.Bad, l.Other}},
	}
	j.Latency = latencyJSON{l.Total.json(), l.FirstToken.json(), l.Queue.json()}
	if l.For > 0 {
		j.OpensIn = new(l.For.Round(100 * time.Millisecond).String())
	}
	for _, m := range []struct {
		name                 string
		limit, learned, left int64
	}{
		{"requests_per_minute", l.Limits.RequestsPerMinute, l.Learned.RequestsPerMinute, l.Left.RequestsPerMinute},
		{"input_tokens_per_minute", l.Limits.InputTokensPerMinute, l.Learned.InputTokensPerMinute, l.Left.InputTokensPerMinute},
		{"output_tokens_per_minute", l.Limits.OutputTokensPerMinute, l.Learned.OutputTokensPerMinute, l.Left.OutputTokensPerMinute},
		{"concurrency", l.Limits.Concurrency, 0, l.Left.Concurrency},
	} {
		if limit, ok := limitOf(m.limit, m.learned, l.ByOperator); ok {
			if m.left != math.MaxInt64 {
				limit.Left = new(min(m.left, limit.Limit)) // a burst may be let through on top
			}
			j.Limits[m.name] = limit
		}
	}
	return j
}

// limitOf returns the limit that counts, which is the smaller one.
func limitOf(limit, learned int64, byOperator bool) (limitJSON, bool) {
	source := "configuration"
	if byOperator {
		source = "operator"
	}
	if learned > 0 && (limit == 0 || learned < limit) {
		limit, source = learned, "provider"
	}
	return limitJSON{Limit: limit, Source: source}, limit > 0
}

func (a *API) pauseLane(x *exchange) error  { return a.actOnLane(x, a.cfg.Lanes.Pause) }
func (a *API) drainLane(x *exchange) error  { return a.actOnLane(x, a.cfg.Lanes.Drain) }
func (a *API) resumeLane(x *exchange) error { return a.actOnLane(x, a.cfg.Lanes.Resume) }

// actOnLane does to a lane what an operator wants.
func (a *API) actOnLane(x *exchange, do func(context.Context, LaneName) error) error {
	if err := onMachine(x.Request()); err != nil {
		return err
	}
	var name LaneName
	if err := a.readStrict(x, &name); err != nil {
		return err
	}
	if (name.Target == "") == (name.Pool == "") {
		return jobs.Invalid("", "name a target, as provider/model, or a pool: one of the two")
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	if err := do(ctx, name); err != nil {
		return err
	}
	return x.NoContent(http.StatusNoContent)
}

func (a *API) laneLimits(x *exchange) error {
	if err := onMachine(x.Request()); err != nil {
		return err
	}
	var body struct {
		Pool   string          `json:"pool"`
		Limits json.RawMessage `json:"limits"`
	}
	if err := a.readStrict(x, &body); err != nil {
		return err
	}
	if body.Pool == "" {
		return jobs.Invalid("/pool", "is required: the name of a quota pool")
	}
	limits, err := limitsIn(body.Limits)
	if err != nil {
		return err
	}
	ctx, cancel := a.storeContext(x)
	defer cancel()
	if err := a.cfg.Lanes.SetLimits(ctx, body.Pool, limits); err != nil {
		return err
	}
	return x.NoContent(http.StatusNoContent)
}

// limitsIn reads limits, or null for those of the configuration.
func limitsIn(raw json.RawMessage) (limits *LimitsWanted, err error) {
	if len(raw) == 0 {
		return nil, jobs.Invalid("/limits", "is required: an object, or null for the configuration's")
	}
	return limits, strict("/limits", raw, &limits)
}

// maxOperation bounds what an operator sends, in bytes.
const maxOperation = 4 << 10

// readStrict reads a body of an operator's, which has no fields but those of to.
func (a *API) readStrict(x *exchange, to any) error {
	body, err := a.readSmall(x, maxOperation)
	if err != nil {
		return err
	}
	if body == nil {
		return jobs.Invalid("", "the body is empty; send a JSON object")
	}
	return strict("", body, to)
}

// strict reads the value at a pointer, which is JSON, without unknown fields.
func strict(pointer string, raw []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field != "" {
			pointer += "/" + e.Field
		}
		return jobs.Invalid(pointer, "must be %s", wanted(e.Type.Kind()))
	}
	if err != nil {
		return jobs.Invalid(pointer, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// wanted is what a value of that kind is in JSON.
func wanted(kind reflect.Kind) string {
	switch kind {
	case reflect.String:
		return "a string"
	case reflect.Int64:
		return "a whole number, and not a huge one"
	default:
		return "a JSON object"
	}
}
