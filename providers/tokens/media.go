package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
)

const (
	// lowDetail is what an image costs whose detail is low, and every other one
	// before its tiles; tile is what 512 × 512 of its pixels cost.
	lowDetail, tile = 85, 170
	// unknownImage is an image that cannot be looked at: one of 1024 × 1024.
	unknownImage = lowDetail + 4*tile
	// pixelsPerToken and longestEdge are Anthropic's.
	pixelsPerToken, longestEdge = 750, 1568
	// bytesPerToken of documents, of which a page has some 100 KB and 2,500
	// tokens, and of sound, of which a second has some 16 KB and 10 tokens.
	documentBytesPerToken, soundBytesPerToken = 40, 1600
	// unknownDocument is one of a page, or one that cannot be looked at.
	unknownDocument = 2500
	// maxHeader is how many bytes of an image are read to learn its size.
	maxHeader = 256 << 10
)

// media estimates the tokens of what is not text, given as it is written in
// JSON: a data URL, base64 or a URL elsewhere. It reports false if value is
// none of these. patches says that images are counted by their area, not by
// tiles.
func media(value []byte, low, patches bool) (tokens int64, ok bool) {
	encoded := value
	if bytes.HasPrefix(value, []byte("data:")) {
		comma := bytes.IndexByte(value, ',')
		encoded = value[comma+1:]
	} else if bytes.HasPrefix(value, []byte("http")) {
		return imageTokens(image.Config{}, low, patches), true
	}
	header := decode(encoded, 16)
	if len(header) < 12 {
		return 0, false
	}
	size := int64(base64.StdEncoding.DecodedLen(len(encoded)))
	if bytes.HasPrefix(header, []byte("%PDF-")) {
		return max(unknownDocument, size/documentBytesPerToken), true
	}
	if config, ok := imageConfig(encoded, header); ok {
		return imageTokens(config, low, patches), true
	}
	return size / soundBytesPerToken, true
}

// decode returns the first n bytes that encoded stands for, or fewer if it is
// shorter or no base64.
func decode(encoded []byte, n int) []byte {
	out, err := io.ReadAll(io.LimitReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(encoded)), int64(n)))
	if err != nil {
		return nil
	}
	return out
}

// imageConfig returns the size of an image, zero if its header does not tell,
// and whether it is one.
func imageConfig(encoded, header []byte) (image.Config, bool) {
	var read func(io.Reader) (image.Config, error)
	switch {
	case bytes.HasPrefix(header, []byte("\x89PNG")):
		read = png.DecodeConfig
	case bytes.HasPrefix(header, []byte("\xff\xd8\xff")):
		read = jpeg.DecodeConfig
	case bytes.HasPrefix(header, []byte("GIF8")):
		read = gif.DecodeConfig
	case bytes.HasPrefix(header, []byte("RIFF")) && string(header[8:12]) == "WEBP":
		return webpConfig(decode(encoded, 30)), true
	default:
		return image.Config{}, false
	}
	decoder := base64.NewDecoder(base64.StdEncoding, bytes.NewReader(encoded))
	config, err := read(io.LimitReader(decoder, maxHeader))
	if err != nil {
		return image.Config{}, true
	}
	return config, true
}

// webpConfig reads the size of a WebP image, RFC 9649.
func webpConfig(b []byte) (c image.Config) {
	if len(b) < 30 {
		return c
	}
	switch string(b[12:16]) {
	case "VP8 ":
		c.Width = int(binary.LittleEndian.Uint16(b[26:]) & 0x3fff)
		c.Height = int(binary.LittleEndian.Uint16(b[28:]) & 0x3fff)
	case "VP8L":
		bits := binary.LittleEndian.Uint32(b[21:])
		c.Width, c.Height = int(bits&0x3fff)+1, int(bits>>14&0x3fff)+1
	case "VP8X":
		c.Width = int(uint32(b[24])|uint32(b[25])<<8|uint32(b[26])<<16) + 1
		c.Height = int(uint32(b[27])|uint32(b[28])<<8|uint32(b[29])<<16) + 1
	}
	return c
}

// imageTokens counts an image as OpenAI describes it for GPT-4o: made to fit
// into 2048 × 2048, then its shorter side to 768, and counted in tiles; or, by
// patches, as Anthropic does.
func imageTokens(c image.Config, low, patches bool) int64 {
	w, h := float64(c.Width), float64(c.Height)
	switch {
	case low && !patches:
		return lowDetail
	case w <= 0 || h <= 0:
		return unknownImage
	case patches:
		shrink := min(1, longestEdge/max(w, h))
		return int64(math.Ceil(w * shrink * h * shrink / pixelsPerToken))
	}
	shrink := min(1, 2048/max(w, h))
	shrink *= min(1, 768/(shrink*min(w, h)))
	return lowDetail + tile*int64(math.Ceil(w*shrink/512)*math.Ceil(h*shrink/512))
}
