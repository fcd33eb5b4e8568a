package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// jobJSON is a job as the API tells of it. Every field is always there; what
// is not known is null.
type jobJSON struct {
	ID           uuid.UUID         `json:"id"`
	Object       string            `json:"object"`
	Status       jobs.Status       `json:"status"`
	WaitingOn    *string           `json:"waiting_on"`
	Position     *int              `json:"position"`
	ETA          *time.Time        `json:"eta"`
	Endpoint     string            `json:"endpoint"`
	Model        string            `json:"model"`
	Priority     string            `json:"priority"`
	Deadline     time.Time         `json:"deadline"`
	CreatedAt    time.Time         `json:"created_at"`
	StartedAt    *time.Time        `json:"started_at"`
	FinishedAt   *time.Time        `json:"finished_at"`
	RequestHash  string            `json:"request_hash"`
	Deduplicated bool              `json:"deduplicated"`
	Cached       bool              `json:"cached"`
	Age          *int64            `json:"age"`
	Tries        int               `json:"tries"`
	Provider     *string           `json:"provider"`
	Usage        *usageJSON        `json:"usage"`
	CostUSD      *jobs.USD         `json:"cost_usd"`
	Metadata     map[string]string `json:"metadata"`
	Webhook      *webhookJSON      `json:"webhook"`
	UseCase      *string           `json:"use_case"`
	Store        bool              `json:"store"`
	Unavailable  string            `json:"on_unavailable"`
	Degraded     bool              `json:"degraded"`
	Batch        *uuid.UUID        `json:"batch_id"`
	Result       json.RawMessage   `json:"result"`
	Error        *errorJSON        `json:"error"`
}

// webhookJSON is a job's own webhook.
type webhookJSON struct {
	URL string `json:"url"`
}

type usageJSON struct {
	InputTokens     int64 `json:"input_tokens"`
	OutputTokens    int64 `json:"output_tokens"`
	CachedTokens    int64 `json:"cached_tokens"`
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

type errorJSON struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func encodeJob(j jobs.Job) jobJSON {
	out := jobJSON{
		ID: j.ID, Object: "job", Status: j.Status, WaitingOn: orNull(string(j.WaitingOn)),
		Position: orNull(j.Position), ETA: timeJSON(j.ETA),
		Endpoint: j.Endpoint, Model: j.Model, Priority: j.Priority.String(), Deadline: j.Deadline.UTC(),
		CreatedAt: j.CreatedAt.UTC(), StartedAt: timeJSON(j.StartedAt), FinishedAt: timeJSON(j.FinishedAt),
		RequestHash: j.RequestHash, Deduplicated: j.Deduplicated, Cached: j.Cached, Tries: j.Tries,
		Provider: orNull(j.Provider), Usage: encodeUsage(j.Usage), CostUSD: j.CostUSD,
		Metadata: j.Metadata, UseCase: orNull(j.UseCase), Store: !j.Ephemeral, Unavailable: j.OnUnavailable.String(), Degraded: j.Degraded, Batch: orNull(j.Batch), Result: j.Result,
	}
	if out.Metadata == nil {
		out.Metadata = map[string]string{}
	}
	if j.Webhook.URL != "" {
		out.Webhook = &webhookJSON{URL: j.Webhook.URL}
	}
	if j.Cached {
		age := int64(j.Age / time.Second)
		out.Age = &age
	}
	if j.Error != nil {
		out.Error = &errorJSON{Code: j.Error.Code, Message: j.Error.Message}
	}
	return out
}

// callJSON is a call as the API tells of it.
type callJSON struct {
	ID                uuid.UUID  `json:"id"`
	Object            string     `json:"object"`
	RequestHash       string     `json:"request_hash"`
	Provider          string     `json:"provider"`
	Model             string     `json:"model"`
	Status            *string    `json:"status"`
	ErrorClass        *string    `json:"error_class"`
	HTTPStatus        *int       `json:"http_status"`
	LatencyMS         *int64     `json:"latency_ms"`
	TTFTMS            *int64     `json:"ttft_ms"`
	Usage             *usageJSON `json:"usage"`
	ReservedUSD       *jobs.USD  `json:"reserved_usd"`
	CostUSD           *jobs.USD  `json:"cost_usd"`
	ServedModel       *string    `json:"served_model"`
	ProviderRequestID *string    `json:"provider_request_id"`
	Partial           *string    `json:"partial"`
	CreatedAt         time.Time  `json:"created_at"`
}

func encodeCall(c jobs.Call) callJSON {
	out := callJSON{
		ID: c.ID, Object: "call", RequestHash: c.RequestHash, Provider: c.Provider, Model: c.Model,
		Status: orNull(string(c.Status)), ErrorClass: orNull(string(c.ErrorClass)), HTTPStatus: orNull(c.HTTPStatus),
		Usage: encodeUsage(c.Usage), ReservedUSD: c.ReservedUSD, CostUSD: c.CostUSD,
		ServedModel: orNull(c.ServedModel), ProviderRequestID: orNull(c.ProviderRequestID), Partial: orNull(c.Partial), CreatedAt: c.CreatedAt.UTC(),
	}
	if c.TimeToFirstToken != 0 {
		ms := c.TimeToFirstToken.Milliseconds()
		out.TTFTMS = &ms
	}
	if c.Status != "" {
		ms := c.Latency.Milliseconds()
		out.LatencyMS = &ms
	}
	return out
}

// listJSON is a page of a list.
type listJSON[T any] struct {
	Data []T `json:"data"`
	// NextCursor asks for the next page; null on the last.
	NextCursor *string `json:"next_cursor"`
	HasMore    bool    `json:"has_more"`
}

func encodeUsage(u providers.Usage) *usageJSON {
	if !u.Known {
		return nil
	}
	return &usageJSON{
		InputTokens: u.InputTokens, OutputTokens: u.OutputTokens,
		CachedTokens: u.CachedTokens, ReasoningTokens: u.ReasoningTokens,
	}
}

// orNull returns nil for the zero value, which stands for not known.
func orNull[T comparable](v T) *T {
	if zero := *new(T); v == zero {
		return nil
	}
	return &v
}

func timeJSON(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func writeJSON(x *exchange, status int, v any) error {
	body, err := surface.Marshal(v)
	if err != nil {
		return err
	}
	return x.Blob(status, "application/json", body)
}

// writeTagged answers 200 with an entity tag, or 304 when the caller has that
// very answer (RFC 9110, 13.1.2).
func writeTagged(x *exchange, v any) error {
	body, err := surface.Marshal(v)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	x.header().Set("ETag", tag)
	if matches(x.Request().Header.Values("If-None-Match"), tag) {
		return x.NoContent(http.StatusNotModified)
	}
	return x.Blob(http.StatusOK, "application/json", body)
}

// matches reports whether tag is among those given, compared weakly.
func matches(given []string, tag string) bool {
	for candidate := range strings.SplitSeq(strings.Join(given, ","), ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
			return true
		}
	}
	return false
}
