package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row sums up the jobs that ended alike.
type row struct {
	status, provider string
	jobs             int
	in, out          int64
	latencies        []time.Duration
	deduplicated     int
}

func sumUp(jobs []job) []*row {
	var rows []*row
	for _, j := range jobs {
		i := slices.IndexFunc(rows, func(r *row) bool { return r.status == j.Status && r.provider == j.Provider })
		if i < 0 {
			i, rows = len(rows), append(rows, &row{status: j.Status, provider: j.Provider})
		}
		rows[i].add(j)
	}
	return rows
}

func (r *row) add(j job) {
	r.jobs++
	if j.Usage != nil {
		r.in += j.Usage.InputTokens
		r.out += j.Usage.OutputTokens
	}
	if j.FinishedAt != nil {
		r.latencies = append(r.latencies, j.FinishedAt.Sub(j.CreatedAt))
	}
	if j.Deduplicated {
		r.deduplicated++
	}
}

// percentile returns the p-th of 100 parts of the latencies, by nearest rank.
func (r *row) percentile(p int) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	slices.Sort(r.latencies)
	return r.latencies[(len(r.latencies)-1)*p/100].Round(time.Millisecond)
}

func printTable(w io.Writer, jobs []job) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "STATUS\tPROVIDER\tJOBS\tTOKENS IN\tTOKENS OUT\tLATENCY P50\tP95\tDEDUPLICATED")
	for _, r := range sumUp(jobs) {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%d\n", r.status, r.provider, r.jobs, r.in, r.out,
			r.percentile(50), r.percentile(95), r.deduplicated)
	}
	tw.Flush()
	for _, j := range jobs {
		if j.Error != nil {
			fmt.Fprintf(w, "job %s: %s: %s\n", j.ID, j.Error.Code, j.Error.Message)
		}
	}
}
