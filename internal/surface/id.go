package surface

import (
	"encoding/hex"
	"strings"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// The ids of vendors are a word and the 32 digits of the UUID that we know the thing by.
const (
	batchPrefix        = "batch_"
	messageBatchPrefix = "msgbatch_"
	filePrefix         = "file-"
	responsePrefix     = "resp_"
	messagePrefix      = "msg_"
)

// BatchID is the id of a batch in the words of OpenAI.
func BatchID(id uuid.UUID) string { return batchPrefix + digits(id) }

// MessageBatchID is the id of a batch in the words of Anthropic.
func MessageBatchID(id uuid.UUID) string { return messageBatchPrefix + digits(id) }

// FileID is the id of a file.
func FileID(id uuid.UUID) string { return filePrefix + digits(id) }

// ResponseID is the id of a job in the words of OpenAI's Responses.
func ResponseID(id uuid.UUID) string { return responsePrefix + digits(id) }

// MessageID is the id of a job in the words of Anthropic's Messages.
func MessageID(id uuid.UUID) string { return messagePrefix + digits(id) }

// ParseID is the reverse of all of them, whichever the word is, and takes a plain UUID,
// too: each surface knows what was made through another. What is no id is the id of
// nothing: [jobs.ErrNotFound].
func ParseID(text string) (uuid.UUID, error) {
	rest := text
	for _, prefix := range []string{batchPrefix, messageBatchPrefix, filePrefix, responsePrefix, messagePrefix} {
		if after, ok := strings.CutPrefix(text, prefix); ok {
			rest = after
			break
		}
	}
	id, err := uuid.Parse(rest)
	plain := rest == text
	if err != nil || plain && len(rest) != len(uuid.Nil.String()) || !plain && len(rest) != hex.EncodedLen(len(id)) {
		return uuid.Nil, jobs.ErrNotFound
	}
	return id, nil
}

func digits(id uuid.UUID) string { return hex.EncodeToString(id[:]) }
