package providers_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

func ExampleParseHint() {
	header := http.Header{}
	header.Set("Retry-After", "2")
	header.Set("X-Ratelimit-Remaining-Tokens", "0")
	header.Set("X-Ratelimit-Reset-Tokens", "6m0s")
	fmt.Println(providers.ParseHint(header, false, time.Now()).After)
	fmt.Println(providers.ParseHint(header, true, time.Now()).After)
	// Output:
	// 2s
	// 6m0s
}

func ExampleClassOf() {
	err := fmt.Errorf("first call: %w", &providers.Error{Class: providers.Overloaded, HTTPStatus: 503})
	fmt.Println(providers.ClassOf(err), providers.ClassOf(err).Policy().Next == providers.RetryHere)
	// Output: overloaded true
}
