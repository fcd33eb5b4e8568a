// Package ingest reads and checks the input of a batch, in bounded memory and on all
// processors.
package ingest
