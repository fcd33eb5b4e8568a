package anthropic

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
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
func readContent(m field.Value, members map[string]field.Value, kinds ...string) ([]block, error) {
	content, ok := members["content"]
	if !ok || chat.IsEmpty(content.Raw) {
		return nil, m.Child("content", nil).Refuse("must not be empty in Messages")
	}
	return readParts(content, kinds...)
}

// readParts reads a text, or a list of parts of the given kinds.
func readParts(v field.Value, kinds ...string) ([]block, error) {
	if v.IsText() {
		text, err := v.Text()
		return []block{{Type: "text", Text: text}}, err
	}
	parts, err := v.List()
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

func readPart(part field.Value, kinds []string) (b block, err error) {
	told, err := part.Members()
	if err != nil {
		return block{}, err
	}
	kind := chat.Text(told["type"])
	if !slices.Contains(kinds, kind) {
		return block{}, part.Child("type", nil).Refuse("must be one of %s here: Messages has no other", strings.Join(kinds, ", "))
	}
	members, err := part.Pick(told, "type", kind, "cache_control")
	if err != nil {
		return block{}, err
	}
	inner, ok := members[kind]
	if !ok {
		return block{}, part.Child(kind, nil).Refuse("is required")
	}
	switch kind {
	case "image_url":
		b, err = readImage(inner)
	case "file":
		b, err = readFile(inner)
	default:
		b.Type = "text"
		b.Text, err = part.Required(members, kind)
	}
	b.CacheControl = members["cache_control"].Raw
	return b, err
}

// readImage reads {"url":…,"detail":…}. Messages looks at every image in all
// the detail it can.
func readImage(v field.Value) (block, error) {
	members, err := v.Object("url", "detail")
	if err != nil {
		return block{}, err
	}
	if detail, ok := members["detail"]; ok {
		if word := chat.Text(detail.Raw); word != "auto" && word != "high" {
			return block{}, detail.Refuse("must be auto or high: Messages has no other")
		}
	}
	address, err := v.Required(members, "url")
	if err != nil {
		return block{}, err
	}
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		return block{Type: "image", Source: &source{Type: "url", URL: address}}, nil
	}
	mediaType, data, ok := field.CutDataURL(address)
	if mediaType == "image/jpg" {
		mediaType = "image/jpeg"
	}
	if !ok || !slices.Contains([]string{"image/jpeg", "image/png", "image/gif", "image/webp"}, mediaType) {
		return block{}, members["url"].Refuse(
			"must be an http URL, or a data URL in base64 of a jpeg, png, gif or webp in Messages")
	}
	return block{Type: "image", Source: &source{Type: "base64", MediaType: mediaType, Data: data}}, nil
}

// readFile reads a PDF, the one kind of file that both formats have.
func readFile(v field.Value) (block, error) {
	members, err := v.Object("file_data", "filename")
	if err != nil {
		return block{}, err
	}
	file, err := v.Required(members, "file_data")
	if err != nil {
		return block{}, err
	}
	mediaType, data, ok := field.CutDataURL(file)
	if !ok || mediaType != "application/pdf" {
		return block{}, members["file_data"].Refuse("must be a data URL in base64 of a PDF in Messages")
	}
	b := block{Type: "document", Source: &source{Type: "base64", MediaType: mediaType, Data: data}}
	if name, ok := members["filename"]; ok {
		b.Title, err = name.Text()
	}
	return b, err
}
