// Command go-client asks one question and a small batch of them, by package client.
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/penstock-dev/penstock/client"
)

// completion is what is looked at of an answer.
type completion struct {
	Choices []struct {
		Message struct {
			Content string `json:"content"`
		} `json:"message"`
	} `json:"choices"`
}

func ask(prompt string) map[string]any {
	return map[string]any{"model": "default", "messages": []map[string]string{{"role": "user", "content": prompt}}}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := client.New(cmp.Or(os.Getenv("PENSTOCK_URL"), "http://127.0.0.1:8080"))
	if err == nil {
		err = one(ctx, c)
	}
	if err == nil {
		err = many(ctx, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// one has one request answered.
func one(ctx context.Context, c *client.Client) error {
	job, err := c.Submit(ctx, client.NewJob{Request: ask("Name three rivers.")})
	if err != nil {
		return err
	}
	if job, err = c.Wait(ctx, job.ID); err != nil {
		return err
	}
	var answer completion
	if err := job.Decode(&answer); err != nil {
		return err
	}
	fmt.Println("chat:", answer.Choices[0].Message.Content)
	return nil
}

// many has a batch answered.
func many(ctx context.Context, c *client.Client) error {
	batch, err := c.SubmitBatch(ctx, client.NewBatch{Requests: []client.BatchRequest{
		{CustomID: "lake", Request: ask("Name a lake.")},
		{CustomID: "sea", Request: ask("Name a sea.")},
	}})
	if err != nil {
		return err
	}
	batch, err = c.WaitBatch(ctx, batch.ID, func(b client.Batch) {
		fmt.Printf("batch: %s, %d of %d\n", b.Status, b.Counts.Ended(), b.Counts.Total)
	})
	if err != nil {
		return err
	}
	for line, err := range c.Results(ctx, batch.ID, client.ResultFilter{}) {
		if err != nil {
			return err
		}
		var answer completion
		if err := line.Decode(&answer); err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", line.CustomID, answer.Choices[0].Message.Content)
	}
	return nil
}
