package webhooks_test

import (
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/webhooks"
)

func Example() {
	key, err := webhooks.ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	body := []byte(`{"test": 2432232314}`)
	now := time.Unix(1614265330, 0)

	header, err := webhooks.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", now, body, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(header.Get("webhook-signature"))

	// The receiver, a minute later and an hour later.
	fmt.Println(webhooks.Verify(header, body, now.Add(time.Minute), key))
	fmt.Println(webhooks.Verify(header, body, now.Add(time.Hour), key))
	// Output:
	// v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
	// <nil>
	// webhook timestamp is too far from now
}
