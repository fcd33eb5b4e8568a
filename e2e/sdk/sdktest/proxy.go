package sdktest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// CutOnce returns the address of a proxy to target that loses the answer to the first
// request with the method: it comes, and the connection is closed in its place. All that
// follow have theirs.
func CutOnce(t testing.TB, target, method string) string {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	var cut atomic.Bool
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method != method || !cut.CompareAndSwap(false, true) {
				return nil
			}
			panic(http.ErrAbortHandler)
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}
