package httpapi

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// batchJSON is a batch as the API tells of it. Every field is always there; what is not
// known is null.
type batchJSON struct {
	ID            uuid.UUID         `json:"id"`
	Object        string            `json:"object"`
	Status        batches.Status    `json:"status"`
	Paused        bool              `json:"paused"`
	Endpoint      string            `json:"endpoint"`
	InputFile     string            `json:"input_file_id"`
	OutputFile    string            `json:"output_file_id"`
	ErrorFile     string            `json:"error_file_id"`
	Priority      string            `json:"priority"`
	Concurrency   int               `json:"concurrency"`
	Dedupe        bool              `json:"dedupe"`
	Unavailable   *string           `json:"on_unavailable"`
	UseCase       *string           `json:"use_case"`
	Metadata      map[string]string `json:"metadata"`
	Window        string            `json:"completion_window"`
	Deadline      time.Time         `json:"deadline"`
	CreatedAt     time.Time         `json:"created_at"`
	StartedAt     *time.Time        `json:"started_at"`
	CancelledAt   *time.Time        `json:"cancelling_at"`
	EndedAt       *time.Time        `json:"ended_at"`
	Read          readJSON          `json:"read"`
	Counts        countsJSON        `json:"counts"`
	LinesPerSec   *float64          `json:"lines_per_second"`
	ETA           *time.Time        `json:"eta"`
	Usage         *usageJSON        `json:"usage"`
	CostUSD       *jobs.USD         `json:"cost_usd"`
	Failures      []causeJSON       `json:"failures"`
	ProblemsTotal int               `json:"problem_count"`
	Problems      []problemJSON     `json:"problems"`
}

// readJSON is how far the input has been read.
type readJSON struct {
	Lines int   `json:"lines"`
	Bytes int64 `json:"bytes"`
}

type countsJSON struct {
	Total        int `json:"total"`
	Pending      int `json:"pending"`
	Live         int `json:"live"`
	Succeeded    int `json:"succeeded"`
	Failed       int `json:"failed"`
	Cancelled    int `json:"cancelled"`
	Expired      int `json:"expired"`
	Deduplicated int `json:"deduplicated"`
}

// causeJSON is a group of lines without an answer.
type causeJSON struct {
	Code      string `json:"code"`
	Count     int    `json:"count"`
	FirstLine int    `json:"first_line"`
}

// problemJSON is what is wrong with a line of the input.
type problemJSON struct {
	// Line is null if it is the input as a whole.
	Line    *int   `json:"line"`
	Code    string `json:"code"`
	Pointer string `json:"pointer"`
	Message string `json:"message"`
}

// encodeBatch tells of a batch, but for what is only told of one alone.
func encodeBatch(b batches.Batch) batchJSON {
	p := b.Policy
	out := batchJSON{
		ID: b.ID, Object: "job_batch", Status: b.Status, Paused: b.Paused, Endpoint: b.Endpoint,
		InputFile: surface.FileID(b.Input), OutputFile: surface.FileID(b.Output), ErrorFile: surface.FileID(b.Errors),
		Priority: p.Priority.String(), Concurrency: p.Concurrency, Dedupe: !p.NoDedupe, UseCase: orNull(p.UseCase),
		Metadata: b.Metadata, Window: b.Window, Deadline: b.Deadline.UTC(), CreatedAt: b.CreatedAt.UTC(),
		StartedAt: timeJSON(b.StartedAt), CancelledAt: timeJSON(b.CancellingAt), EndedAt: timeJSON(b.EndedAt),
		Read: readJSON(b.Read), Counts: countsJSON(b.Counts), LinesPerSec: orNull(b.Rate), ETA: timeJSON(b.ETA(time.Now())),
		Usage: encodeUsage(b.Usage), CostUSD: orNull(b.CostUSD), Failures: []causeJSON{},
		ProblemsTotal: b.ProblemCount, Problems: []problemJSON{},
	}
	if out.Concurrency == 0 {
		out.Concurrency = batches.Window
	}
	if p.OnUnavailable != nil {
		out.Unavailable = orNull(p.OnUnavailable.String())
	}
	if out.Metadata == nil {
		out.Metadata = map[string]string{}
	}
	return out
}

func encodeCauses(causes []batches.Cause) []causeJSON {
	out := make([]causeJSON, len(causes))
	for i, c := range causes {
		out[i] = causeJSON{Code: c.Code, Count: c.Count, FirstLine: c.Line}
	}
	return out
}

func encodeProblems(problems []batches.Problem) []problemJSON {
	out := make([]problemJSON, len(problems))
	for i, p := range problems {
		out[i] = problemJSON{Line: orNull(p.Line), Code: p.Code, Pointer: p.Param, Message: p.Message}
	}
	return out
}

// lineJSON is a line of a batch that has ended.
type lineJSON struct {
	Line     int             `json:"line"`
	CustomID string          `json:"custom_id"`
	Status   batches.State   `json:"status"`
	Job      *uuid.UUID      `json:"job_id"`
	Seq      int64           `json:"seq"`
	Result   json.RawMessage `json:"result"`
	Error    *errorJSON      `json:"error"`
}

func encodeLine(l batches.Answer) lineJSON {
	out := lineJSON{Line: l.N, CustomID: l.CustomID, Status: l.State, Job: orNull(l.Job), Seq: l.Seq, Result: l.Result}
	switch {
	case l.Dropped:
		out.Result, out.Error = nil, &errorJSON{Code: string(jobs.CodeDropped), Message: "the answer is no longer there"}
	case l.State != batches.LineSucceeded:
		out.Result, out.Error = nil, &errorJSON{Code: l.Code, Message: l.Message}
	}
	return out
}
