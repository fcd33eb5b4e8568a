package httpapi

import (
	_ "embed"
	"net/http"
)

// document describes the API: OpenAPI 3.1. Tests hold every answer against it.
//
//go:embed openapi.yaml
var document []byte

func serveDocument(x *exchange) error {
	return x.Blob(http.StatusOK, "application/yaml", document)
}
