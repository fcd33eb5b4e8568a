// Package sealedtest makes sealed stores for tests.
package sealedtest

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/storage/sealed"
)

// Secret returns a secret as operators write it: for each byte another.
func Secret(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }

// Config returns one with the secrets of the given bytes.
func Config(tb testing.TB, secrets ...byte) sealed.Config {
	tb.Helper()
	var list []string
	for _, b := range secrets {
		list = append(list, Secret(b))
	}
	parsed, err := sealed.ParseSecrets(strings.Join(list, ","))
	if err != nil {
		tb.Fatal(err)
	}
	return sealed.Config{Secrets: parsed}
}

// Open returns a store that seals with one secret what it keeps in b.
func Open(tb testing.TB, b sealed.Backing) *sealed.Store {
	tb.Helper()
	s, err := sealed.New(tb.Context(), b, Config(tb, 1))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
