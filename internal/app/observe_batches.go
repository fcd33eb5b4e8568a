package app

import (
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/batches/keeper"
)

// batchMetrics are those of batches. Batches are no labels: tenants make them.
type batchMetrics struct {
	read  prometheus.Counter
	lines *prometheus.CounterVec
	ended *prometheus.CounterVec
	held  prometheus.Gauge
}

func newBatchMetrics(registry *prometheus.Registry) *batchMetrics {
	m := &batchMetrics{
		read:  counter("penstock_batch_lines_read_total", "Lines of inputs of batches that this process read and kept."),
		lines: counters("penstock_batch_lines_ended_total", "Lines of batches that have ended, as this process noted.", "state"),
		ended: counters("penstock_batches_ended_total", "Batches that this process ended.", "status"),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "penstock_batches_held", Help: "Batches that this process works on.",
		}),
	}
	registry.MustRegister(m.read, m.lines, m.ended, m.held)
	return m
}

// keeper observes batches.
func (o *observed) keeper() keeper.Observer {
	m := newBatchMetrics(o.registry)
	return keeper.Observer{
		Read:       func(lines int) { m.read.Add(float64(lines)) },
		LinesEnded: func(as batches.State, lines int) { m.lines.WithLabelValues(string(as)).Add(float64(lines)) },
		Ended: func(b batches.Batch) {
			m.ended.WithLabelValues(string(b.Status)).Inc()
			o.log.Info().Stringer("batch", b.ID).Str("tenant", b.Tenant).Str("endpoint", b.Endpoint).Str("status", string(b.Status)).
				Int("lines", b.Counts.Total).Int("succeeded", b.Counts.Succeeded).Int("failed", b.Counts.Failed).
				Int("cancelled", b.Counts.Cancelled).Int("expired", b.Counts.Expired).Int("deduplicated", b.Counts.Deduplicated).
				Int("problems", b.ProblemCount).Dur("took", b.EndedAt.Sub(b.CreatedAt)).Msg("batch")
		},
		Held: func(n int) { m.held.Set(float64(n)) },
		Panicked: func(batch uuid.UUID, kind string, stack []byte) {
			o.log.Error().Stringer("batch", batch).Str("kind", kind).Bytes("stack", stack).Msg("the work on a batch panicked")
		},
		Error: o.failed("keeper"),
	}
}
