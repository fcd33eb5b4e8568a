package embedredis_test

import (
	"context"
	"fmt"

	"github.com/penstock-dev/penstock/internal/embedredis"
)

func Example() {
	server := embedredis.Start()
	defer server.Close()
	fmt.Println(server.Client().Ping(context.Background()).Val())
	// Output: PONG
}
