// Package files keeps what tenants upload: input of batches above all. A file is written
// once, from its beginning to its end, and never held in memory as a whole: its bytes are
// in chunks of [ChunkSize], in the store or in a bucket.
package files
