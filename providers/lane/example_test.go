package lane_test

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/embedredis"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
	"github.com/penstock-dev/penstock/providers/lane/lanetest"
)

// One answer that says "not now" informs every worker.
func ExampleLanes_Admit() {
	server := embedredis.Start()
	defer server.Close()
	ctx, to := context.Background(), lane.Lane{Pool: "openai", Target: "openai/gpt-5-mini"}
	lanes, err := lane.New(server.Client(), new(lanetest.Store), lane.Config{
		Limits: map[string]lane.Limits{"openai": {Concurrency: 200}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := lanes.Admit(ctx, lane.Ask{Lane: to, Call: uuid.New()})
	fmt.Println(v.Admitted, err)

	_, err = lanes.Settle(ctx, v.Permit, lane.Result{Class: providers.RateLimited, Hint: 20 * time.Second})
	fmt.Println(err)
	v, err = lanes.Admit(ctx, lane.Ask{Lane: to, Call: uuid.New()})
	fmt.Println(v.Admitted, v.Reason, v.For.Round(time.Second), err)
	// Output:
	// true <nil>
	// <nil>
	// false rate_limit 20s <nil>
}
