package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/control"
	"github.com/penstock-dev/penstock/jobs/dispatch"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/drift"
	"github.com/penstock-dev/penstock/providers/keyring"
)

// observed turns what the parts tell into log lines and metrics. Labels are
// names from the configuration and words of fixed lists, never what a caller
// wrote.
type observed struct {
	log       zerolog.Logger
	registry  *prometheus.Registry
	calls     *prometheus.CounterVec
	latency   *prometheus.HistogramVec
	first     *prometheus.HistogramVec
	tokens    *prometheus.CounterVec
	openings  *prometheus.CounterVec
	runs      *prometheus.CounterVec
	running   *prometheus.GaugeVec
	released  *prometheus.CounterVec
	pass      prometheus.Histogram
	leading   prometheus.Gauge
	requeued  prometheus.Counter
	reclaimed prometheus.Counter
	expired   prometheus.Counter
	aside     *prometheus.CounterVec
	drifted   *prometheus.CounterVec
	reloads   *prometheus.CounterVec
}

func newObserved(log zerolog.Logger) *observed {
	seconds := []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600}
	o := &observed{
		log:      log,
		registry: prometheus.NewRegistry(),
		calls:    counters("penstock_calls_total", "Calls to providers that have ended.", "provider", "status", "error_class"),
		latency: histograms("penstock_call_duration_seconds", "Time from a call's start to its end.",
			seconds, "provider", "status"),
		first: histograms("penstock_call_first_token_seconds", "Time from a call's start to the first token of its answer.",
			seconds, "provider"),
		openings: counters("penstock_breaker_openings_total", "Calls that opened a target's breaker, or kept it open.", "provider"),
		tokens:   counters("penstock_tokens_total", "Tokens as providers reported them.", "provider", "kind"),
		runs:     counters("penstock_runs_total", "Runs of executions by what became of them.", "provider", "result"),
		running:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "penstock_calls_running", Help: "Calls under way in this process."}, []string{"provider"}),
		released: counters("penstock_released_total", "Executions released to workers by this process.", "provider"),
		pass: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "penstock_dispatch_pass_seconds", Help: "Time of a dispatcher's pass that released something.",
			Buckets: prometheus.ExponentialBuckets(.0005, 2, 14),
		}),
		leading: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "penstock_dispatcher_leading", Help: "1 if this process is the fleet's dispatcher, else 0.",
		}),
		requeued:  counter("penstock_requeued_total", "Releases that the queue had lost and that were taken back."),
		reclaimed: counter("penstock_dead_workers_total", "Workers that this process declared dead."),
		expired:   counter("penstock_jobs_expired_total", "Jobs that this process ended at their deadline."),
		aside: counters("penstock_provider_keys_aside_total", "Keys that a provider did not take and that were put aside.",
			"provider", "error_class"),
		drifted: counters("penstock_model_changes_total",
			"Answers that name another model or system fingerprint than the one before, for the same model.", "provider"),
		reloads: counters("penstock_config_reloads_total", "Times the configuration file was read again.", "result"),
	}
	o.registry.MustRegister(o.calls, o.latency, o.first, o.openings, o.tokens, o.runs, o.running, o.released, o.pass,
		o.leading, o.requeued, o.reclaimed, o.expired, o.aside, o.drifted, o.reloads,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return o
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// failed logs what a part reports and then goes on from by itself.
func (o *observed) failed(part string) func(error) {
	return func(err error) { o.log.Error().Str("part", part).Err(err).Msg("failed, goes on") }
}

func (o *observed) dispatch() dispatch.Observer {
	return dispatch.Observer{
		Error: o.failed("dispatch"),
		UnknownRoute: func(route string, err error) {
			o.log.Warn().Str("route", route).Err(err).Msg("executions wait for a route that cannot be served")
		},
		Released: func(provider string, n int) { o.released.WithLabelValues(provider).Add(float64(n)) },
		Pass:     func(took time.Duration, _ int) { o.pass.Observe(took.Seconds()) },
		Leading: func(yes bool) {
			o.leading.Set(0)
			if yes {
				o.leading.Set(1)
			}
			o.log.Info().Bool("leading", yes).Msg("dispatcher")
		},
	}
}

func (o *observed) control() control.Observer {
	return control.Observer{
		Error: o.failed("control"),
		Requeued: func(n int) {
			o.requeued.Add(float64(n))
			o.log.Warn().Int("releases", n).Msg("the queue had lost releases; they were taken back")
		},
		Reclaimed: func(w jobs.Worker, what jobs.Reclaimed) {
			o.reclaimed.Inc()
			o.log.Warn().Str("worker", w.Name).Stringer("worker_id", w.ID).Int("requeued", what.Requeued).
				Int("poisoned_jobs", len(what.Ended)).Msg("a worker died")
		},
		Expired: func(n int) { o.expired.Add(float64(n)) },
		Deleted: func(n int) { o.log.Info().Int("jobs", n).Msg("deleted what is past its retention") },
	}
}

func (o *observed) run() run.Observer {
	return run.Observer{
		Started: func(w jobs.Work) { o.running.WithLabelValues(w.Provider).Inc() },
		Ended:   o.attempt,
		Error:   o.failed("run"),
		Panicked: func(task jobs.Task, kind string, stack []byte) {
			o.log.Error().Stringer("execution", task.Execution).Int64("fence", task.Fence).Str("kind", kind).
				Bytes("stack", stack).Msg("a provider panicked")
		},
	}
}

// keys observes the keys of a provider.
func (o *observed) keys(provider string) keyring.Observer {
	log := o.log.With().Str("provider", provider).Logger()
	return keyring.Observer{
		SetAside: func(name string, class providers.Class, model string, until time.Time) {
			o.aside.WithLabelValues(provider, string(class)).Inc()
			line := log.Warn().Str("key", name).Str("error_class", string(class))
			if !until.IsZero() {
				line.Str("model", model).Time("until", until)
			}
			line.Msg("the provider did not take a key; it is put aside")
		},
		Restored: func(name, model string) {
			log.Info().Str("key", name).Str("model", model).Msg("the provider takes a key again")
		},
		File: func(name string, problem error) { log.Warn().Str("key", name).Err(problem).Msg("the file of a key") },
	}
}

// drift observes what serves the models of a provider.
func (o *observed) drift(provider string) func(drift.Change) {
	return func(c drift.Change) {
		o.drifted.WithLabelValues(provider).Inc()
		if c.Again {
			return
		}
		o.log.Warn().Str("provider", provider).Str("model", c.Model).
			Str("was_model", c.Was.Model).Str("was_fingerprint", c.Was.Fingerprint).
			Str("is_model", c.Is.Model).Str("is_fingerprint", c.Is.Fingerprint).
			Msg("the provider serves something else under the same name")
	}
}

// attempt counts a call and writes its one line.
func (o *observed) attempt(a run.Attempt) {
	c := a.Call
	o.runs.WithLabelValues(c.Provider, string(a.Result)).Inc()
	if c.Latency > 0 { // else the run was cut off before its call was made
		o.running.WithLabelValues(c.Provider).Dec()
		o.calls.WithLabelValues(c.Provider, string(c.Status), string(c.ErrorClass)).Inc()
		o.latency.WithLabelValues(c.Provider, string(c.Status)).Observe(c.Latency.Seconds())
	}
	if c.TimeToFirstToken > 0 {
		o.first.WithLabelValues(c.Provider).Observe(c.TimeToFirstToken.Seconds())
	}
	if c.Usage.Known {
		o.tokens.WithLabelValues(c.Provider, "input").Add(float64(c.Usage.InputTokens))
		o.tokens.WithLabelValues(c.Provider, "output").Add(float64(c.Usage.OutputTokens))
	}
	opened := a.Lane.Opened.Number > 0
	if opened {
		o.openings.WithLabelValues(c.Provider).Inc()
	}
	level := zerolog.InfoLevel
	if opened || a.Result == run.Failed || a.Result == run.Unrecorded {
		level = zerolog.WarnLevel
	}
	o.log.WithLevel(level).EmbedObject(attemptLine(a)).Msg("call")
}

// attemptLine is the log line of an attempt.
type attemptLine run.Attempt

// MarshalZerologObject writes all that is known about the call.
func (a attemptLine) MarshalZerologObject(line *zerolog.Event) {
	c := a.Call
	line.Stringer("execution", a.Task.Execution).Int64("fence", a.Task.Fence).Stringer("call", c.ID).
		Str("tenant", c.Tenant).Str("provider", c.Provider).Str("model", c.Model).Str("route", a.Route).
		Str("result", string(a.Result)).Str("status", string(c.Status)).Dur("latency", c.Latency).
		Dur("first_token", c.TimeToFirstToken).Int("tries", a.Tries).AnErr("cause", a.Err)
	if c.Usage.Known {
		line.Int64("input_tokens", c.Usage.InputTokens).Int64("output_tokens", c.Usage.OutputTokens)
	}
	if c.ErrorClass != "" {
		line.Str("error_class", string(c.ErrorClass)).Int("http_status", c.HTTPStatus).Str("why", a.Message)
	}
	if o := a.Lane.Opened; o.Number > 0 {
		line.Int("breaker_opening", o.Number).Dur("breaker_open_for", o.For)
	}
	if a.Lane.Closed {
		line.Bool("breaker_closed", true)
	}
	if !a.RunAt.IsZero() {
		line.Time("run_at", a.RunAt).Str("waiting_on", string(a.WaitingOn))
	}
}
