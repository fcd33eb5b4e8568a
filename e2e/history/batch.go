package history

import (
	"maps"
	"slices"
)

// Batch is a batch that a client wanted.
type Batch struct {
	// Name is what its client calls it, in its metadata too.
	Name   string
	Tenant string
	Lines  []Line
	// Cancelled says that its client asked for that.
	Cancelled bool
}

// Line is a line as its client sent it.
type Line struct {
	CustomID string
	// Wrong says that the provider refuses it for good.
	Wrong bool
}

// KeptBatch is a batch as an API told its tenant of it in the end.
type KeptBatch struct {
	ID     string
	Tenant string
	Name   string
	Status string
	Counts Counts
	// Results are its lines as its results list them, Output and Errors the custom ids in
	// its two files.
	Results        []Answer
	Output, Errors []string
}

// Counts are those of a batch's lines.
type Counts struct {
	Total, Pending, Live, Succeeded, Failed, Cancelled, Expired, Deduplicated int
}

// Answer is a line that has ended.
type Answer struct {
	CustomID string
	Status   string
	// Job is its job; empty when it never was one.
	Job string
	// Outcome stands for the whole result, or is the error's code.
	Outcome string
}

// BatchSighting is what a client was told of a batch while it ran. Results were read
// after Counts.
type BatchSighting struct {
	Batch   string
	Status  string
	Counts  Counts
	Results []Answer
}

// completed is how a batch ends that nobody cancels and that has the time.
const completed = "completed"

// ended reports whether a batch that is well has, by its status.
func (b Batch) ended(status string) bool {
	return status == completed || b.Cancelled && status == cancelled
}

// batchesAreKept is invariants 1 to 5 for batches: each that was accepted is there once,
// with each of its lines once.
func (x *index) batchesAreKept() {
	wanted := map[string]Batch{}
	for _, b := range x.Batches {
		wanted[b.Name] = b
	}
	kept, byID := map[string]KeptBatch{}, map[string]KeptBatch{}
	for _, b := range x.Kept {
		first, twice := kept[b.Name]
		if twice {
			x.broken(1, "batch %s is there twice, as %s and as %s", b.Name, first.ID, b.ID)
		}
		if w, ok := wanted[b.Name]; !ok || w.Tenant != b.Tenant {
			x.broken(1, "batch %s of %s is named %q, and its client asked for none such", b.ID, b.Tenant, b.Name)
			continue
		}
		kept[b.Name], byID[b.ID] = b, b
		x.linesAreKept(b, wanted[b.Name])
		x.countsAreThoseOfLines(b)
		x.filesAreTheResults(b)
	}
	x.submittedBatchesAreKept(byID)
	x.batchesOnlyGrow(byID)
	x.linesHaveTheirJobs()
	x.batchesAreTold(byID)
}

// submittedBatchesAreKept: an answer that accepts is for good.
func (x *index) submittedBatchesAreKept(byID map[string]KeptBatch) {
	for _, s := range x.BatchSubmissions {
		if b, ok := byID[s.Job]; s.accepted() && (!ok || b.Name != s.Key || b.Tenant != s.Tenant) {
			x.broken(1, "batch %s was accepted as %s (%d) and is lost", s.Key, s.Job, s.Status)
		}
	}
}

// linesAreKept: a batch that is there has all its lines, each once, with an answer or the
// reason for which there is none.
func (x *index) linesAreKept(b KeptBatch, want Batch) {
	if !want.ended(b.Status) {
		x.broken(1, "batch %s is %s", b.Name, b.Status)
	}
	left := map[string]Line{}
	for _, l := range want.Lines {
		left[l.CustomID] = l
	}
	seen := map[string]bool{}
	for _, a := range b.Results {
		l, sent := left[a.CustomID]
		switch {
		case seen[a.CustomID]:
			x.broken(2, "batch %s: line %s is in the results twice", b.Name, a.CustomID)
		case !sent:
			x.broken(1, "batch %s: line %s is in the results and was not sent", b.Name, a.CustomID)
		default:
			x.lineEndedRightly(want, l, a)
		}
		seen[a.CustomID] = true
		delete(left, a.CustomID)
	}
	for _, id := range slices.Sorted(maps.Keys(left)) {
		x.broken(1, "batch %s: line %s is lost", b.Name, id)
	}
}

// lineEndedRightly: one that the provider refuses says so, unless three deaths came first,
// and no other fails but as a job does: see failedForAReason.
func (x *index) lineEndedRightly(b Batch, l Line, a Answer) {
	switch {
	case b.Cancelled && a.Status == cancelled:
	case l.Wrong && (a.Status != failed || a.Outcome != refused && a.Outcome != poisoned):
		x.broken(5, "batch %s: line %s is %s %s, want what the provider says of it", b.Name, a.CustomID, a.Status, a.Outcome)
	case l.Wrong || a.Status == succeeded && a.Job != "":
	case a.Status != failed || a.Job == "" || a.Outcome == refused:
		x.broken(5, "batch %s: line %s is %s %s for no reason", b.Name, a.CustomID, a.Status, a.Outcome)
	}
}

const (
	// refused is the class of a call that the provider will never answer.
	refused = "bad_request"
	// poisoned is the code of what too many processes died of.
	poisoned = "poisoned"
)

// countsAreThoseOfLines: what a batch counts is what its results list.
func (x *index) countsAreThoseOfLines(b KeptBatch) {
	listed := Counts{Total: len(b.Results), Deduplicated: b.Counts.Deduplicated}
	shared := 0
	for _, a := range b.Results {
		switch a.Status {
		case succeeded:
			listed.Succeeded++
		case failed:
			listed.Failed++
		case cancelled:
			listed.Cancelled++
		case expired:
			listed.Expired++
		}
		if j := x.jobs[a.Job]; a.Status == succeeded && (j.Deduplicated || j.Cached) {
			shared++
		}
	}
	if b.Counts != listed {
		x.broken(2, "batch %s counts %+v, its results list %+v", b.Name, b.Counts, listed)
	}
	if len(x.Jobs) > 0 && b.Counts.Deduplicated != shared {
		x.broken(2, "batch %s counts %d that were answered by another's call, and %d were", b.Name, b.Counts.Deduplicated, shared)
	}
}

// filesAreTheResults: both files together have the lines that the results have.
func (x *index) filesAreTheResults(b KeptBatch) {
	var output, errors []string
	for _, a := range b.Results {
		if a.Status == succeeded {
			output = append(output, a.CustomID)
		} else {
			errors = append(errors, a.CustomID)
		}
	}
	if !slices.Equal(output, b.Output) || !slices.Equal(errors, b.Errors) {
		x.broken(2, "batch %s: its files have %d answers and %d errors, its results %d and %d, or others",
			b.Name, len(b.Output), len(b.Errors), len(output), len(errors))
	}
}

// batchesOnlyGrow: what was told of a batch while it ran is so in the end.
func (x *index) batchesOnlyGrow(byID map[string]KeptBatch) {
	type line struct{ batch, customID string }
	ended := map[line]Answer{}
	for _, b := range byID {
		for _, a := range b.Results {
			ended[line{b.ID, a.CustomID}] = a
		}
	}
	for _, s := range x.BatchSightings {
		b, ok := byID[s.Batch]
		switch c, most := s.Counts, b.Counts; {
		case !ok:
			x.broken(1, "batch %s was seen %s and is not there", s.Batch, s.Status)
			continue
		case s.Status == Missing:
			x.broken(1, "batch %s was accepted, and not there later", b.Name)
		case s.Status == b.Status && c != most:
			x.broken(2, "batch %s counted %+v when it had ended, and %+v later", b.Name, c, most)
		case c.Succeeded > most.Succeeded, c.Failed > most.Failed, c.Cancelled > most.Cancelled, c.Expired > most.Expired,
			c.Total > most.Total, c.Deduplicated > most.Deduplicated:
			x.broken(2, "batch %s counted %+v, and %+v in the end", b.Name, c, most)
		case s.Results != nil && len(s.Results) < c.Succeeded+c.Failed+c.Cancelled+c.Expired:
			x.broken(2, "batch %s counted %+v, and its results had %d lines after that", b.Name, c, len(s.Results))
		}
		for _, a := range s.Results {
			if last := ended[line{b.ID, a.CustomID}]; a != last {
				x.broken(2, "batch %s: line %s was %s %s, and %s %s in the end", b.Name, a.CustomID, a.Status, a.Outcome, last.Status, last.Outcome)
			}
		}
	}
}

// linesHaveTheirJobs: a line is one job, whose outcome it has, and a job of a batch is one
// line's. It is for histories that have jobs.
func (x *index) linesHaveTheirJobs() {
	if len(x.Jobs) == 0 {
		return
	}
	lineOf := map[string]string{}
	for _, b := range x.Kept {
		for _, a := range b.Results {
			if a.Job == "" {
				continue
			}
			if other, ok := lineOf[a.Job]; ok {
				x.broken(2, "batch %s: job %s is that of line %s and of line %s", b.Name, a.Job, other, a.CustomID)
			}
			lineOf[a.Job] = a.CustomID
			x.lineIsItsJob(b, a)
		}
	}
	for _, j := range x.Jobs {
		if j.Batch != "" && lineOf[j.ID] == "" && !x.cancelled[j.Batch] { // else its line may have ended before it was noted
			x.broken(2, "job %s is of batch %s, and no line's", j.ID, j.Batch)
		}
	}
}

func (x *index) lineIsItsJob(b KeptBatch, a Answer) {
	j, ok := x.jobs[a.Job]
	switch {
	case !ok || j.Batch != b.ID || j.Tenant != b.Tenant:
		x.broken(3, "batch %s: the job %s of line %s is not there, or another's", b.Name, a.Job, a.CustomID)
	case j.Status != a.Status, j.Status == failed && j.Error != a.Outcome:
		x.broken(2, "batch %s: line %s is %s %s, its job %s %s", b.Name, a.CustomID, a.Status, a.Outcome, j.Status, j.Error)
	case j.Status == succeeded && x.executions[j.Execution].Outcome != a.Outcome:
		x.broken(3, "batch %s: line %s was answered with another result than its execution's", b.Name, a.CustomID)
	}
}

// batchesAreTold: the end of a batch is one event, which reached its tenant and nobody
// else.
func (x *index) batchesAreTold(byID map[string]KeptBatch) {
	told := map[string]string{}
	for _, d := range x.Deliveries {
		if d.Batch == "" {
			continue
		}
		b, ok := byID[d.Batch]
		switch first, again := told[d.Batch]; {
		case !ok:
			x.broken(4, "a webhook tells of batch %s, which is not there", d.Batch)
		case b.Tenant != d.Tenant:
			x.broken(9, "a webhook told %s of batch %s, which is %s's", d.Tenant, b.Name, b.Tenant)
		case d.Type != "batch."+b.Status:
			x.broken(4, "batch %s is %s, and a webhook told of %s", b.Name, b.Status, d.Type)
		case again && first != d.ID:
			x.broken(4, "batch %s has two events, %s and %s", b.Name, first, d.ID)
		}
		told[d.Batch] = d.ID
	}
	for _, b := range byID {
		if x.Hooked[b.Tenant] && told[b.ID] == "" {
			x.broken(4, "batch %s is %s, and no webhook told of it", b.Name, b.Status)
		}
	}
}
