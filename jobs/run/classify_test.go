package run_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

func TestSuccessIsRecordedWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.call = func(context.Context, providers.Request) (providers.Response, error) {
			time.Sleep(2 * time.Second)
			return answer, nil
		}
		g.take()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		o := g.outcome()
		if o.Status != jobs.StatusSucceeded || string(o.Result) != `{"id":"x"}` || o.Tries != 0 || o.Error != nil {
			t.Errorf("outcome %+v, want the answer", o)
		}
		want := jobs.Call{
			ID: under(g, &g.claims)[0].Call, Execution: g.work.Task.Execution, Fence: 3, Tenant: "acme", RequestHash: "hash",
			Provider: "first", Model: "m1", Status: jobs.CallSuccess, HTTPStatus: 200, Latency: 2 * time.Second,
			TimeToFirstToken: 300 * time.Millisecond, Usage: answer.Usage, ProviderRequestID: "req_1", ServedModel: "m1-2026-01-31",
			CreatedAt: under(g, &g.claims)[0].At,
		}
		if o.Call != want {
			t.Errorf("call\n%+v, want\n%+v", o.Call, want)
		}
		if c := under(g, &g.claims)[0]; c.Worker != g.worker.ID || c.Call.Version() != 7 {
			t.Errorf("claim %+v, want the worker's, with a UUIDv7 for the call", c)
		}
		r := under(g, &g.requested)[0]
		if r.IdempotencyKey != g.work.Task.Execution.String()+"-3" || r.Model != "m1" || r.Timeouts.Total != 10*time.Minute {
			t.Errorf("request %+v, want key execution-fence, the target's model and the route's timeouts", r)
		}
		if len(under(g, &g.signals)) != 2 || under(g, &g.signals)[0].Kind != jobs.SignalEnded || under(g, &g.signals)[1].Kind != jobs.SignalReady {
			t.Errorf("signals %+v, want ended, then ready", under(g, &g.signals))
		}
	})
}

func TestEveryClassGoesItsWay(t *testing.T) {
	t.Parallel()
	type way struct {
		// What becomes of it on a route with one target, and with two.
		single, double string
		tries          int
		status         jobs.CallStatus
	}
	final := way{"failed", "failed", 1, jobs.CallFailure}
	over := way{"failed", "next target", 1, jobs.CallFailure}
	again := way{"retry", "next target", 1, jobs.CallFailure}
	timeout := way{"retry", "next target", 1, jobs.CallTimeout}
	for class, want := range map[providers.Class]way{
		providers.RateLimited:       {"rate_limit", "rate_limit", 0, jobs.CallFailure},
		providers.QuotaExhausted:    over,
		providers.Overloaded:        again,
		providers.ServerError:       again,
		providers.TimeoutConnect:    timeout,
		providers.TimeoutFirstToken: timeout,
		providers.TimeoutStall:      timeout,
		providers.TimeoutTotal:      timeout,
		providers.Connection:        again,
		providers.Truncated:         again,
		providers.Malformed:         again,
		providers.InvalidOutput:     again,
		providers.ContentFiltered:   over,
		providers.BadRequest:        final,
		providers.Authentication:    over,
		providers.Permission:        over,
		providers.NotFound:          over,
		providers.ContextLength:     over,
		"unheard_of":                final,
	} {
		for route, expected := range map[string]string{"single": want.single, "default": want.double} {
			t.Run(fmt.Sprintf("%s on route %s", class, route), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					g := newRig(t)
					g.work.Route, g.opens = route, refuses
					g.call = failing(providers.Error{
						Class: class, HTTPStatus: 418, Message: "it failed", Detail: "theirs", Partial: "half",
					})
					g.take()
					became, tries, call := g.became()
					if became != expected || tries != want.tries {
						t.Errorf("became %q with %d tries, want %q with %d", became, tries, expected, want.tries)
					}
					if call.Status != want.status || call.ErrorClass != class || call.HTTPStatus != 418 || call.Partial != "half" {
						t.Errorf("call %+v, want status %s, the class, HTTP 418 and the partial answer", call, want.status)
					}
					if expected == "failed" {
						e := g.outcome().Error
						if e.Code != string(class) || e.Message != "it failed: theirs" || !g.outcome().StopAt.IsZero() {
							t.Errorf("error %+v, want the class, both messages and no condition", e)
						}
					}
					if a := g.attempt(); a.Call.Partial != "" || strings.Contains(a.Message, "theirs") {
						t.Errorf("the observer was told %+v, which is the tenant's", a)
					}
				})
			})
		}
	}
}

// TestATargetThatCannotCarryTheRequestIsPassedOver: at once and for free, while
// there is another.
func TestATargetThatCannotCarryTheRequestIsPassedOver(t *testing.T) {
	t.Parallel()
	for route, want := range map[string]string{"single": "failed", "default": "next target"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.work.Route, g.opens = route, refuses
				g.call = failing(*(&providers.UnsupportedError{Pointer: "/seed", Reason: "has no counterpart"}).Refuse())
				g.take()
				became, tries, call := g.became()
				if became != want || tries != 0 || call.ErrorClass != providers.BadRequest {
					t.Errorf("became %q with %d tries and call %+v, want %q with none", became, tries, call, want)
				}
				if want == "failed" && !strings.HasSuffix(g.outcome().Error.Message, "/seed: has no counterpart") {
					t.Errorf("error %+v, want it to name the field", g.outcome().Error)
				}
				if a := g.attempt(); strings.Contains(a.Message, "seed") {
					t.Errorf("the observer was told %+v, which may be the tenant's", a)
				}
			})
		})
	}
}

// became puts the only write into a word.
func (g *rig) became() (what string, tries int, call jobs.Call) {
	g.t.Helper()
	if len(under(g, &g.outcomes)) > 0 {
		o := g.outcome()
		return string(o.Status), o.Tries, o.Call
	}
	r := g.rescheduling()
	switch {
	case r.Target == 1 && r.WaitingOn == jobs.WaitingOnCapacity && !r.RunAt.After(time.Now().Add(time.Minute)):
		return "next target", r.Tries, r.Call
	case r.Target == 0 && r.WaitingOn != jobs.WaitingOnCapacity:
		return string(r.WaitingOn), r.Tries, r.Call
	default:
		return fmt.Sprintf("%+v", r), r.Tries, r.Call
	}
}

func TestTargetIsFoundAgainAfterAChangeOfConfiguration(t *testing.T) {
	t.Parallel()
	for _, stored := range []int{-1, 0, 1, 7} {
		t.Run(fmt.Sprint("stored as ", stored), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.work.Route, g.work.Target, g.opens = "default", stored, refuses
				g.call = failing(providers.Error{Class: providers.NotFound})
				g.take()
				if what, _, _ := g.became(); what != "next target" {
					t.Errorf("became %q, want the target after the one called", what)
				}
			})
		})
	}
}

func TestUnknownRouteIsRunWithDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.work.Route = "gone"
		g.call = failing(providers.Error{Class: providers.ServerError})
		g.take()
		if r := g.rescheduling(); r.WaitingOn != jobs.WaitingOnRetry || under(g, &g.requested)[0].Timeouts.Connect == 0 {
			t.Errorf("rescheduling %+v after request %+v, want a retry and the default timeouts", r, under(g, &g.requested)[0])
		}
	})
}

func TestUnknownProviderIsGivenBackForLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.work.Provider = "elsewhere"
		g.take()
		r := g.rescheduling()
		if r.Tries != 0 || time.Until(r.RunAt) < time.Second || r.Call.Status != jobs.CallCancelled {
			t.Errorf("rescheduling %+v, want one for later that costs no try", r)
		}
	})
}

func TestUnsafeErrorIsNotQuoted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.work.Tries = 4
		g.call = func(context.Context, providers.Request) (providers.Response, error) {
			return providers.Response{}, errors.New(`sent {"secret":"prompt"}`)
		}
		g.take()
		if e := g.outcome().Error; e.Code != "connection" || strings.Contains(e.Message, "secret") {
			t.Errorf("error %+v, want class connection and nothing quoted", e)
		}
	})
}

func TestInvariant11AnswerThatIsNotJSONIsAFailure(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", `{"id":`, "<html>"} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.call = func(context.Context, providers.Request) (providers.Response, error) {
					r := answer
					r.Body = []byte(body)
					return r, nil
				}
				g.take()
				r := g.rescheduling()
				if r.Call.ErrorClass != providers.Malformed || r.Call.Partial != body || !r.Call.Usage.Known {
					t.Errorf("call %+v, want malformed with what arrived", r.Call)
				}
			})
		})
	}
}

func TestWhatAProviderSaysOfItsModelIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.call = func(context.Context, providers.Request) (providers.Response, error) {
			long := answer
			long.Model = strings.Repeat("ü", 200)
			return long, nil
		}
		g.take()
		if got := g.outcome().Call.ServedModel; got != strings.Repeat("ü", jobs.MaxServedModel/2) {
			t.Errorf("kept %q, want the first %d bytes", got, jobs.MaxServedModel)
		}
	})
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.call = failing(providers.Error{
			Class: providers.BadRequest, Message: "no", Detail: strings.Repeat("ü", 100_000) + "\x00\xff",
			Partial: "\x00\xff" + strings.Repeat("€", 100_000),
		})
		g.take()
		o := g.outcome()
		for what, s := range map[string]string{"message": o.Error.Message, "partial": o.Call.Partial} {
			if len(s) > jobs.MaxPartial || strings.ContainsRune(s, 0) || strings.ToValidUTF8(s, "") != s {
				t.Errorf("%s of %d bytes, want valid UTF-8 without NUL, bounded", what, len(s))
			}
		}
		if len(o.Error.Message) > 4<<10 {
			t.Errorf("message of %d bytes, want at most 4 KiB", len(o.Error.Message))
		}
	})
}

func TestPanicInAProviderIsAFailedCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.call = func(context.Context, providers.Request) (providers.Response, error) { panic("secret prompt") }
		g.take()
		r := g.rescheduling()
		if r.Tries != 1 || r.Call.Status != jobs.CallFailure || r.Call.ErrorClass != providers.Malformed {
			t.Errorf("rescheduling %+v, want a counted failure", r)
		}
		if len(under(g, &g.panics)) != 1 || under(g, &g.panics)[0] != "string" || strings.Contains(g.attempt().Message, "secret") {
			t.Errorf("told of panics %q, attempt %+v; want the type alone", under(g, &g.panics), g.attempt())
		}
	})
}
