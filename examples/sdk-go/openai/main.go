// Command openai asks one question and a small batch of them, by way of OpenAI's SDK. All
// that is Penstock's is the base URL.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	base := cmp.Or(os.Getenv("PENSTOCK_URL"), "http://127.0.0.1:8080")
	c := openai.NewClient(option.WithBaseURL(base+"/v1"), option.WithAPIKey("any"))
	if err := one(ctx, c); err != nil {
		log.Fatal(err)
	}
	if err := many(ctx, c); err != nil {
		log.Fatal(err)
	}
}

// one has one request answered.
func one(ctx context.Context, c openai.Client) error {
	chat, err := c.Chat.Completions.New(ctx, openai.ChatCompletionNewParams{
		Model: "default", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Name three rivers.")},
	})
	if err != nil {
		return err
	}
	fmt.Println("chat:", chat.Choices[0].Message.Content)
	return nil
}

// many has a batch answered.
func many(ctx context.Context, c openai.Client) error {
	file, err := c.Files.New(ctx, openai.FileNewParams{
		File: openai.File(bytes.NewReader(questions()), "questions.jsonl", "application/jsonl"), Purpose: openai.FilePurposeBatch,
	})
	if err != nil {
		return err
	}
	batch, err := c.Batches.New(ctx, openai.BatchNewParams{
		InputFileID: file.ID, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions,
		CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	})
	for err == nil && batch.Status != openai.BatchStatusCompleted {
		if batch.Status == openai.BatchStatusFailed {
			return fmt.Errorf("the batch failed: %s", batch.Errors.RawJSON())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		batch, err = c.Batches.Get(ctx, batch.ID)
	}
	if err != nil {
		return err
	}
	fmt.Println("batch:", batch.Status, batch.RequestCounts.Completed, "of", batch.RequestCounts.Total)
	return show(ctx, c, batch.OutputFileID)
}

// questions are the lines of a batch.
func questions() []byte {
	var lines bytes.Buffer
	for _, q := range [][2]string{{"lake", "Name a lake."}, {"sea", "Name a sea."}} {
		fmt.Fprintf(&lines, `{"custom_id":%q,"method":"POST","url":"/v1/chat/completions",`+
			`"body":{"model":"default","messages":[{"role":"user","content":%q}]}}`+"\n", q[0], q[1])
	}
	return lines.Bytes()
}

// show prints the answers of a batch.
func show(ctx context.Context, c openai.Client, id string) error {
	output, err := c.Files.Content(ctx, id)
	if err != nil {
		return err
	}
	defer output.Body.Close()
	lines := bufio.NewScanner(output.Body)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var line struct {
			CustomID string `json:"custom_id"`
			Response struct {
				Body openai.ChatCompletion `json:"body"`
			} `json:"response"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", line.CustomID, line.Response.Body.Choices[0].Message.Content)
	}
	return lines.Err()
}
