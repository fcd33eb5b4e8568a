package gemini

import (
	"encoding/json"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// part is a piece of a content, of one kind.
type part struct {
	Text             string            `json:"text,omitempty"`
	InlineData       *inlineData       `json:"inlineData,omitempty"`
	FileData         *fileData         `json:"fileData,omitempty"`
	FunctionCall     *functionCall     `json:"functionCall,omitempty"`
	FunctionResponse *functionResponse `json:"functionResponse,omitempty"`
	ThoughtSignature string            `json:"thoughtSignature,omitempty"`
}

// inlineData is bytes in base64.
type inlineData struct {
	MimeType string `json:"mimeType"`
	Data     string `json:"data"`
}

// fileData is what the server fetches itself.
type fileData struct {
	MimeType string `json:"mimeType"`
	FileURI  string `json:"fileUri"`
}

type functionCall struct {
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"`
}

type functionResponse struct {
	ID       string   `json:"id,omitempty"`
	Name     string   `json:"name"`
	Response response `json:"response"`
}

// response is what a function returned. It has to be an object; "output" is the
// member that Gemini takes for the whole of it.
type response struct {
	Output any `json:"output"`
}

// readContent reads a message's content, which must not be empty.
func readContent(m field.Value, members map[string]field.Value, kinds ...string) ([]part, error) {
	content, ok := members["content"]
	if !ok || chat.IsEmpty(content.Raw) {
		return nil, m.Child("content", nil).Refuse("must not be empty in Gemini")
	}
	return readParts(content, kinds...)
}

// readParts reads a text, or a list of parts of the given kinds.
func readParts(v field.Value, kinds ...string) ([]part, error) {
	if v.IsText() {
		text, err := v.Text()
		return []part{{Text: text}}, err
	}
	list, err := v.List()
	if err != nil {
		return nil, err
	}
	parts := make([]part, 0, len(list))
	for _, element := range list {
		p, err := readPart(element, kinds)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func readPart(v field.Value, kinds []string) (part, error) {
	told, err := v.Members()
	if err != nil {
		return part{}, err
	}
	kind := chat.Text(told["type"])
	if !slices.Contains(kinds, kind) {
		return part{}, v.Child("type", nil).Refuse("must be one of %s here: Gemini has no other", strings.Join(kinds, ", "))
	}
	members, err := v.Pick(told, "type", kind)
	if err != nil {
		return part{}, err
	}
	inner, ok := members[kind]
	if !ok {
		return part{}, v.Child(kind, nil).Refuse("is required")
	}
	switch kind {
	case "image_url":
		return readImage(inner)
	case "input_audio":
		return readAudio(inner)
	case "file":
		return readFile(inner)
	default:
		text, err := v.Required(members, kind)
		return part{Text: text}, err
	}
}

// endings are the media types of images by the endings of their names. Which of
// them a model reads is its server's to say.
var endings = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif",
	".heic": "image/heic", ".heif": "image/heif",
}

// readImage reads {"url":…,"detail":…}. How closely Gemini looks at an image is
// not said image by image.
func readImage(v field.Value) (part, error) {
	members, err := v.Object("url", "detail")
	if err != nil {
		return part{}, err
	}
	if detail, ok := members["detail"]; ok && chat.Text(detail.Raw) != "auto" {
		return part{}, detail.Refuse("must be auto: Gemini has no other")
	}
	address, err := v.Required(members, "url")
	if err != nil {
		return part{}, err
	}
	if strings.HasPrefix(address, "https://") {
		mimeType := typeByName(address)
		if mimeType == "" {
			return part{}, members["url"].Refuse(
				"must end in png, jpg, jpeg, webp, gif, heic or heif, or be a data URL: Gemini has to be told the type")
		}
		return part{FileData: &fileData{mimeType, address}}, nil
	}
	mimeType, data, ok := field.CutDataURL(address)
	if !ok || !strings.HasPrefix(mimeType, "image/") {
		return part{}, members["url"].Refuse("must be an https URL, or a data URL in base64 of an image in Gemini")
	}
	if mimeType == "image/jpg" {
		mimeType = "image/jpeg"
	}
	return part{InlineData: &inlineData{mimeType, data}}, nil
}

// typeByName is the media type of the image at address, as far as its name
// tells.
func typeByName(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return endings[strings.ToLower(path.Ext(parsed.Path))]
}

// readAudio reads {"data":…,"format":…}.
func readAudio(v field.Value) (part, error) {
	members, err := v.Object("data", "format")
	if err != nil {
		return part{}, err
	}
	data, err := v.Required(members, "data")
	if err != nil {
		return part{}, err
	}
	format, err := v.Required(members, "format")
	if err != nil {
		return part{}, err
	}
	if format != "wav" && format != "mp3" {
		return part{}, members["format"].Refuse("must be wav or mp3")
	}
	return part{InlineData: &inlineData{"audio/" + format, data}}, nil
}

// readFile reads a file of any type: which ones a model reads is its server's
// to say. Gemini has no place for its name.
func readFile(v field.Value) (part, error) {
	members, err := v.Object("file_data")
	if err != nil {
		return part{}, err
	}
	file, err := v.Required(members, "file_data")
	if err != nil {
		return part{}, err
	}
	mimeType, data, ok := field.CutDataURL(file)
	if !ok || mimeType == "" {
		return part{}, members["file_data"].Refuse("must be a data URL in base64 with a media type in Gemini")
	}
	return part{InlineData: &inlineData{mimeType, data}}, nil
}
