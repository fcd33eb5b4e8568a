package anthropic

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// block is a piece of a turn.
type block struct {
	Type         string          `json:"type"`
	Text         string          `json:"text,omitempty"`
	Source       *source         `json:"source,omitempty"`
	Title        string          `json:"title,omitempty"`
	ID           string          `json:"id,omitempty"`
	Name         string          `json:"name,omitempty"`
	Input        json.RawMessage `json:"input,omitempty"`
	ToolUseID    string          `json:"tool_use_id,omitempty"`
	Content      []block         `json:"content,omitempty"`
	CacheControl json.RawMessage `json:"cache_control,omitempty"`
}

// source is where an image or document comes from.
type source struct {
	Type      string `json:"type"` // base64 or url
	MediaType string `json:"media_type,omitempty"`
	Data      string `json:"data,omitempty"`
	URL       string `json:"url,omitempty"`
}

// readContent reads a message's content, which must not be empty.
func readContent(m value, members map[string]value, kinds ...string) ([]block, error) {
	content, ok := members["content"]
	if !ok || chat.IsEmpty(content.raw) {
		return nil, m.child("content", nil).refuse("must not be empty in Messages")
	}
	return readParts(content, kinds...)
}

// readParts reads a text, or a list of parts of the given kinds.
func readParts(v value, kinds ...string) ([]block, error) {
	if v.isText() {
		text, err := v.text()
		return []block{{Type: "text", Text: text}}, err
	}
	parts, err := v.list()
	if err != nil {
		return nil, err
	}
	blocks := make([]block, 0, len(parts))
	for _, part := range parts {
		b, err := readPart(part, kinds)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

func readPart(part value, kinds []string) (b block, err error) {
	told, err := part.members()
	if err != nil {
		return block{}, err
	}
	kind := chat.Text(told["type"])
	if !slices.Contains(kinds, kind) {
		return block{}, part.child("type", nil).refuse("must be one of %s here: Messages has no other", strings.Join(kinds, ", "))
	}
	members, err := part.pick(told, "type", kind, "cache_control")
	if err != nil {
		return block{}, err
	}
	inner, ok := members[kind]
	if !ok {
		return block{}, part.child(kind, nil).refuse("is required")
	}
	switch kind {
	case "image_url":
		b, err = readImage(inner)
	case "file":
		b, err = readFile(inner)
	default:
		b.Type = "text"
		b.Text, err = required(part, members, kind)
	}
	b.CacheControl = members["cache_control"].raw
	return b, err
}

// readImage reads {"url":…,"detail":…}. Messages looks at every image in all
// the detail it can.
func readImage(v value) (block, error) {
	members, err := v.object("url", "detail")
	if err != nil {
		return block{}, err
	}
	if detail, ok := members["detail"]; ok {
		if word := chat.Text(detail.raw); word != "auto" && word != "high" {
			return block{}, detail.refuse("must be auto or high: Messages has no other")
		}
	}
	address, err := required(v, members, "url")
	if err != nil {
		return block{}, err
	}
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		return block{Type: "image", Source: &source{Type: "url", URL: address}}, nil
	}
	mediaType, data, ok := cutDataURL(address)
	if mediaType == "image/jpg" {
		mediaType = "image/jpeg"
	}
	if !ok || !slices.Contains([]string{"image/jpeg", "image/png", "image/gif", "image/webp"}, mediaType) {
		return block{}, members["url"].refuse(
			"must be an http URL, or a data URL in base64 of a jpeg, png, gif or webp in Messages")
	}
	return block{Type: "image", Source: &source{Type: "base64", MediaType: mediaType, Data: data}}, nil
}

// readFile reads a PDF, the one kind of file that both formats have.
func readFile(v value) (block, error) {
	members, err := v.object("file_data", "filename")
	if err != nil {
		return block{}, err
	}
	file, err := required(v, members, "file_data")
	if err != nil {
		return block{}, err
	}
	mediaType, data, ok := cutDataURL(file)
	if !ok || mediaType != "application/pdf" {
		return block{}, members["file_data"].refuse("must be a data URL in base64 of a PDF in Messages")
	}
	b := block{Type: "document", Source: &source{Type: "base64", MediaType: mediaType, Data: data}}
	if name, ok := members["filename"]; ok {
		b.Title, err = name.text()
	}
	return b, err
}

// cutDataURL takes a data URL (RFC 2397) in base64 apart. The media type comes
// in lower case and without parameters.
func cutDataURL(address string) (mediaType, data string, ok bool) {
	rest, isData := strings.CutPrefix(address, "data:")
	head, data, hasData := strings.Cut(rest, ",")
	head, isBase64 := strings.CutSuffix(head, ";base64")
	mediaType, _, _ = strings.Cut(head, ";")
	return strings.ToLower(mediaType), data, isData && hasData && isBase64 && data != ""
}
