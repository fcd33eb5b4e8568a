package app

import "testing"

// What surrounds a document is none.
func TestADocumentMayHaveMarksAndComments(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"# ours\n---\nproviders: {a: {type: simulated, concurrency: 3}}\n",
		"---\nproviders: {a: {type: simulated, concurrency: 3}}\n...\n",
		"providers: {a: {type: simulated, concurrency: 3}}\n---\n# that is all\n",
	} {
		var f File
		if err := readDocument([]byte(raw), &f); err != nil || f.Providers["a"].Concurrency != 3 {
			t.Errorf("%q: got %+v, %v, want provider a", raw, f.Providers, err)
		}
	}
}
