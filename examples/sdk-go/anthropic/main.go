// Command anthropic asks one question and a small batch of them, by way of Anthropic's SDK.
// All that is Penstock's is the base URL.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	base := cmp.Or(os.Getenv("PENSTOCK_URL"), "http://127.0.0.1:8080")
	c := anthropic.NewClient(option.WithBaseURL(base), option.WithAPIKey("any"))
	if err := one(ctx, c); err != nil {
		log.Fatal(err)
	}
	if err := many(ctx, c); err != nil {
		log.Fatal(err)
	}
}

func asking(prompt string) []anthropic.MessageParam {
	return []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(prompt))}
}

func text(m anthropic.Message) string {
	var b strings.Builder
	for _, block := range m.Content {
		b.WriteString(block.Text)
	}
	return b.String()
}

// one has one request answered.
func one(ctx context.Context, c anthropic.Client) error {
	m, err := c.Messages.New(ctx, anthropic.MessageNewParams{
		Model: "default", MaxTokens: 256, Messages: asking("Name three rivers."),
	})
	if err != nil {
		return err
	}
	fmt.Println("chat:", text(*m))
	return nil
}

func request(id, prompt string) anthropic.MessageBatchNewParamsRequest {
	return anthropic.MessageBatchNewParamsRequest{CustomID: id, Params: anthropic.MessageBatchNewParamsRequestParams{
		Model: "default", MaxTokens: 256, Messages: asking(prompt),
	}}
}

// many has a batch answered.
func many(ctx context.Context, c anthropic.Client) error {
	batch, err := c.Messages.Batches.New(ctx, anthropic.MessageBatchNewParams{Requests: []anthropic.MessageBatchNewParamsRequest{
		request("lake", "Name a lake."), request("sea", "Name a sea."),
	}})
	for err == nil && batch.ProcessingStatus != anthropic.MessageBatchProcessingStatusEnded {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		batch, err = c.Messages.Batches.Get(ctx, batch.ID, anthropic.MessageBatchGetParams{})
	}
	if err != nil {
		return err
	}
	fmt.Println("batch:", batch.ProcessingStatus, batch.RequestCounts.Succeeded, "of 2")
	results := c.Messages.Batches.ResultsStreaming(ctx, batch.ID, anthropic.MessageBatchResultsParams{})
	defer results.Close()
	for results.Next() {
		line := results.Current()
		fmt.Printf("%s: %s\n", line.CustomID, text(line.Result.AsSucceeded().Message))
	}
	return results.Err()
}
