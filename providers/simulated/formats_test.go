package simulated_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// eachKindOfFault wants the same order to arrive as the same class with the same
// hint in the format of open as in chat completions, and to be logged of endpoint.
// may sees each failure, and says whether its class may differ.
func eachKindOfFault(
	t *testing.T, retryAfter, endpoint string,
	open func(*testing.T, simulated.Faults) (*simulated.Server, providers.Provider),
	may func(t *testing.T, kind string, got providers.Error) bool,
) {
	t.Helper()
	for _, kind := range simulated.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				faults := simulated.Faults{Errors: map[string]float64{kind: 1}, RetryAfter: retryAfter}
				_, chat := start(t, faults)
				server, provider := open(t, faults)
				for i := range 10 {
					req := prompt(fmt.Sprint(i))
					req.Timeouts = providers.Timeouts{FirstToken: time.Minute, Stall: time.Minute}
					_, chatErr := chat.Call(t.Context(), req, nil)
					_, err := provider.Call(t.Context(), req, nil)
					want, got := failureOf(t, chatErr), failureOf(t, err)
					// Where in the answer a fault strikes hangs on the body, which differs.
					early := kind == simulated.KindStall && got.Class == providers.TimeoutFirstToken
					late := kind == simulated.KindStall && want.Class == providers.TimeoutFirstToken
					differs := may(t, kind, got) || early || late
					if got.Class != want.Class && !differs || got.RetryAfter != want.RetryAfter {
						t.Errorf("call %d: got %s with hint %s, in chat completions %s with %s",
							i, got.Class, got.RetryAfter, want.Class, want.RetryAfter)
					}
				}
				synctest.Wait()
				for _, call := range server.Calls() {
					left := kind == simulated.KindSlowHeaders && call.Outcome == "left"
					if call.Endpoint != endpoint || call.Model != "sim" || call.Outcome != kind && !left {
						t.Errorf("the log says %+v, want %q", call, kind)
					}
				}
			})
		})
	}
}
