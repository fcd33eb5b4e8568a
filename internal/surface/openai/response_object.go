package openai

import (
	"encoding/json"
	"strconv"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// The statuses of a response that has none of a provider's.
const (
	responseQueued     = "queued"
	responseInProgress = "in_progress"
	responseFailed     = "failed"
	responseCancelled  = "cancelled"
)

// object is the response as it is: the provider's own, under our name, or what can be
// said of one that there is not.
func (a asked) object() (object, error) {
	if a.job.Status != jobs.StatusSucceeded || len(a.job.Result) == 0 {
		return a.unanswered(statusOf(a.job))
	}
	o, err := readObject(a.job.Result)
	if err != nil {
		return nil, err
	}
	metadata, err := a.metadata()
	if err != nil {
		return nil, err
	}
	return o.set("id", quote(surface.ResponseID(a.job.ID))).
		set("created_at", integer(a.job.CreatedAt.Unix())).
		set("completed_at", integer(a.job.FinishedAt.Unix())).
		set("background", boolean(a.background())).
		set("store", boolean(!a.job.Ephemeral)).
		set("metadata", metadata), nil
}

func statusOf(job jobs.Job) string {
	switch job.Status {
	case jobs.StatusQueued:
		return responseQueued
	case jobs.StatusRunning:
		return responseInProgress
	case jobs.StatusCancelled:
		return responseCancelled
	default:
		return responseFailed
	}
}

// unanswered is the response without its answer. What it repeats of the request is the
// request's own, or what leaving it out means.
func (a asked) unanswered(status string) (object, error) {
	request, err := readObject(a.request)
	if err != nil {
		return nil, err
	}
	metadata, err := a.metadata()
	if err != nil {
		return nil, err
	}
	why, err := a.failure(status)
	if err != nil {
		return nil, err
	}
	o := object{
		{"id", quote(surface.ResponseID(a.job.ID))},
		{"object", quote("response")},
		{"created_at", integer(a.job.CreatedAt.Unix())},
		{"status", quote(status)},
		{"background", boolean(a.background())},
		{"error", why},
		{"incomplete_details", null},
	}
	for _, f := range []struct{ name, otherwise string }{
		{"instructions", "null"},
		{"max_output_tokens", "null"},
		{"model", `""`},
		{"output", "[]"},
		{"parallel_tool_calls", "true"},
		{"previous_response_id", "null"},
		{"reasoning", "null"},
		{"temperature", "null"},
		{"text", `{"format":{"type":"text"}}`},
		{"tool_choice", `"auto"`},
		{"tools", "[]"},
		{"top_p", "null"},
		{"truncation", `"disabled"`},
	} {
		value, ok := request.get(f.name)
		if !ok || f.name == "output" {
			value = json.RawMessage(f.otherwise)
		}
		o = append(o, member{f.name, value})
	}
	return append(o, member{"metadata", metadata}, member{"store", boolean(!a.job.Ephemeral)}, member{"usage", null}), nil
}

func (a asked) metadata() (json.RawMessage, error) {
	if a.job.Metadata == nil {
		return json.RawMessage("{}"), nil
	}
	return surface.Marshal(a.job.Metadata)
}

// failure is what the response has under "error".
func (a asked) failure(status string) (json.RawMessage, error) {
	if status != responseFailed || a.job.Error == nil {
		return null, nil
	}
	code := "server_error"
	switch providers.Class(a.job.Error.Code) {
	case providers.RateLimited, providers.QuotaExhausted:
		code = "rate_limit_exceeded"
	case providers.BadRequest, providers.ContextLength, providers.ContentFiltered:
		code = "invalid_prompt"
	default: // these are all the words that OpenAI has
	}
	return surface.Marshal(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{code, a.job.Error.Code + ": " + a.job.Error.Message})
}

var null = json.RawMessage("null")

func integer(n int64) json.RawMessage { return json.RawMessage(strconv.FormatInt(n, 10)) }

func boolean(b bool) json.RawMessage { return json.RawMessage(strconv.FormatBool(b)) }
