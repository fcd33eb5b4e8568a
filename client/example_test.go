package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/penstock-dev/penstock/client"
)

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(penstock) // such as http://127.0.0.1:8080
	if err != nil {
		log.Fatal(err)
	}
	job, err := c.Submit(ctx, client.NewJob{Request: map[string]any{
		"model":    "default",
		"messages": []map[string]string{{"role": "user", "content": "Name three rivers."}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	if job, err = c.Wait(ctx, job.ID); err != nil {
		log.Fatal(err)
	}
	var answer struct {
		Choices []struct {
			Message struct{ Content string }
		}
	}
	if err := job.Decode(&answer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Status, len(answer.Choices))
	// Output: succeeded 1
}

func ExampleClient_Events() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(penstock)
	if err != nil {
		log.Fatal(err)
	}
	job, err := c.Submit(ctx, client.NewJob{Request: map[string]any{
		"model":    "some",
		"messages": []map[string]string{{"role": "user", "content": "Tell me of the Rhine."}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	pieces := 0
	for event, err := range c.Events(ctx, job.ID) {
		if err != nil {
			log.Fatal(err)
		}
		switch event.Type {
		case client.EventDelta:
			pieces++ // show event.Delta
		case client.EventRestart:
			pieces = 0 // begin anew
		case client.EventDone:
			fmt.Println(event.Job.Status, pieces > 1)
		default: // how it stands, and what later versions tell
		}
	}
	// Output: succeeded true
}

func ExampleError() {
	c, err := client.New(penstock)
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Submit(context.Background(), client.NewJob{Request: map[string]any{"model": "gpt-9", "messages": []any{"?"}}})
	if e, ok := errors.AsType[*client.Error](err); ok && e.Code == client.CodeUnknownModel {
		fmt.Println(e.Status, e.Fields[0].Pointer)
	}
	// Output: 400 /request/model
}
